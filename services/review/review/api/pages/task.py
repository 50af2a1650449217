"""The task page: the content as a phone shows it, why it was held, to whom it goes, what was decided before."""

from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse

from console.accounts import Login
from console.show import marked
from review.api.pages import DECIDERS, Console
from review.domain.item import OPEN, UNDO_MS, urgency
from review.domain.sight import MAX_TEXT
from review.handlers.people import actor_of


def add(app: FastAPI, console: Console) -> None:
    """Add the routes."""
    shell = console.shell
    anyone, decider = shell.require(), shell.guarded(*DECIDERS)

    @app.get("/tasks/{task_id}", include_in_schema=False)
    async def page(task_id: str, request: Request, login: Annotated[Login, Depends(anyone)]) -> Response:
        seen = await console.inspector.inspect(login.account.tenant, task_id[:64])
        if seen is None:
            return shell.page(request, "review/missing.html", login=login, status=404)
        t = shell.translator(request)
        row, now = seen.row, console.clock.wall_ms()
        own = row["posted_by"] in (login.account.name, *login.account.api_users) and bool(row["posted_by"])
        may_decide = login.account.role in DECIDERS and row["state"] in {state.value for state in OPEN} and not own
        spans = [
            (*found.finding.span, t.code("finding", found.finding.category) + f" · {found.finding.rule}")
            for found in seen.findings
            # A span is one of the message it was found in.
            if found.finding.span is not None and found.text == row["content"][:MAX_TEXT]
        ]
        undo_until = 0
        if row["state"] in ("approved", "rejected") and row["decided_by"] == login.account.name and not row["final_at"]:
            undo_until = row["due_at"] or 0
        return shell.page(
            request,
            "review/task.html",
            login=login,
            seen=seen,
            row=row,
            own=own,
            urgency=urgency(row["queued_at"], now).value,
            may_decide=may_decide,
            content=marked(row["content"], spans),
            checklist=console.desk.checklist,
            effective=await console.ports.effective(login.account.tenant, row["port"]),
            undo_until=undo_until if undo_until > now else 0,
            undo_ms=UNDO_MS,
            open_now=console.desk.hours.open_at(now),
        )

    @app.post("/tasks/{task_id}/reveal", include_in_schema=False)
    async def reveal(task_id: str, request: Request, login: Annotated[Login, Depends(decider)]) -> Response:
        form = await request.form()
        chunk, index = str(form.get("chunk", ""))[:64], str(form.get("index", ""))
        number = None
        if index.isascii() and index.isdigit() and len(index) < 6:
            number = await console.inspector.reveal(actor_of(login.account), task_id[:64], chunk, int(index))
        if number is None:
            return JSONResponse({"text": shell.translator(request)("app.none")}, status_code=404)
        return JSONResponse({"number": number})
