"""The queue: clusters of waiting tasks, filters, live refresh, and the actions on what is selected."""

import re
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.datastructures import FormData

from console.accounts import Login
from console.i18n import Translator
from review.api.pages import DECIDERS, Console
from review.domain.hours import local
from review.domain.item import UNDO_MS, urgency
from review.handlers.decide import CHANGED, MAX_NOTE, MAX_TASKS, Result
from review.handlers.people import actor_of
from review.store import queue as store
from review.store.queue import Filters

_TASK = re.compile(r"[0-9a-f]{32}\Z")
_CLUSTER = re.compile(r"(?P<cluster>-?\d{1,20}):(?P<port>[0-9A-Za-z+]{1,32}):(?P<enterprise>.{1,128})\Z")
_NEWS = re.compile(r"[0-9]{1,9}\Z")
MAX_SELECTED = 500

ACTIONS = ("claim", "release", "approve", "reject", "undo", "fastlane")
DECISIONS = ("approve", "reject")


def add(app: FastAPI, console: Console) -> None:
    """Add the routes."""
    shell = console.shell
    anyone, decider = shell.require(), shell.guarded(*DECIDERS)

    @app.get("/", include_in_schema=False)
    async def home() -> Response:
        return RedirectResponse("/queue", status_code=303)

    @app.get("/queue", include_in_schema=False)
    async def page(request: Request, login: Annotated[Login, Depends(anyone)]) -> Response:
        context = await _rows(console, login, request)
        async with console.database.connection() as connection:
            ports, enterprises = await store.options(connection, login.account.tenant)
        return shell.page(
            request,
            "review/queue.html",
            login=login,
            ports=ports,
            enterprises=enterprises,
            checklist=console.desk.checklist,
            **context,
        )

    @app.get("/queue/rows", include_in_schema=False)
    async def rows(request: Request, login: Annotated[Login, Depends(anyone)]) -> Response:
        return shell.page(request, "review/queue_rows.html", login=login, **await _rows(console, login, request))

    @app.get("/events", include_in_schema=False, dependencies=[Depends(anyone)])
    async def events(request: Request) -> Response:
        return await console.hub.stream(request)

    @app.post("/act/{action}", include_in_schema=False)
    async def act(action: str, request: Request, login: Annotated[Login, Depends(decider)]) -> Response:
        t = shell.translator(request)
        form = await request.form()
        if action not in ACTIONS:
            return JSONResponse({"text": t("act.unknown")}, status_code=404)
        tasks, seen, changed = await _selected(console, login, action, form)
        if not (tasks or changed):
            return JSONResponse({"text": t("act.nothing")}, status_code=422)
        if action == "fastlane" and login.account.role.value != "supervisor":
            return JSONResponse({"text": t("forbidden.role")}, status_code=403)
        result = await _run(console, login, action, tasks, seen, form)
        if result is None:
            return JSONResponse({"text": t("act.cite")}, status_code=422)
        result.refused.update(dict.fromkeys(changed, CHANGED))
        return JSONResponse(_told(t, action, result), status_code=200 if result.done else 409)


async def _rows(console: Console, login: Login, request: Request) -> dict[str, Any]:
    query = request.query_params
    mine = login.account.name if query.get("mine") else ""
    fields = {name: query.get(name, "")[:128] for name in ("port", "enterprise", "risk", "age", "lane")}
    filters = Filters(**fields, mine=mine)
    now = console.clock.wall_ms()
    midnight = local(now).replace(hour=0, minute=0, second=0, microsecond=0)
    own = [login.account.name, *login.account.api_users]
    async with console.database.connection() as connection:
        clusters = await store.clusters(connection, login.account.tenant, filters, now, own)
        figures = await store.summary(connection, login.account.tenant, now, int(midnight.timestamp() * 1_000))
    hours = console.desk.hours
    return {
        "clusters": [{**dict(row), "urgency": urgency(row["queued_at"], now).value} for row in clusters],
        "figures": figures,
        "filters": filters,
        "open_now": hours.open_at(now),
        "hours": hours,
        "next_opening": hours.next_opening(now),
        "can_decide": login.account.role in DECIDERS,
    }


async def _selected(
    console: Console, login: Login, action: str, form: FormData
) -> tuple[list[str], dict[str, int], list[str]]:
    """Return the tasks a form names, one by one (``task``) or by cluster (``cluster``: number, port, enterprise).

    ``seen`` (``<task>=<news>``, ``<cluster>=<sight>``) says what was on the page: beside the tasks come the ``news`` their
    decision is based on, and the tasks of clusters that hold something which was not on it.
    """
    tasks = [str(value) for value in form.getlist("task")[:MAX_SELECTED] if _TASK.match(str(value))]
    shown = dict(str(value).rpartition("=")[::2] for value in form.getlist("seen")[: 2 * MAX_SELECTED])
    seen = {key: int(mark) for key, mark in shown.items() if _TASK.match(key) and _NEWS.match(mark)}
    changed: list[str] = []
    deciding = action in DECISIONS
    async with console.database.connection() as connection:
        for value in form.getlist("cluster")[:MAX_SELECTED]:
            match = _CLUSTER.match(str(value))
            if match is None or not -(1 << 63) <= int(match["cluster"]) < 1 << 63:
                continue
            news, sight = await store.open_tasks(
                connection,
                login.account.tenant,
                match["enterprise"],
                match["port"],
                int(match["cluster"]),
                MAX_TASKS - len(tasks),
            )
            if deciding and shown.get(str(value), sight) != sight:
                changed += news
            else:
                tasks += news
                seen = news | seen
    return list(dict.fromkeys(tasks))[:MAX_TASKS], seen, changed


async def _run(
    console: Console, login: Login, action: str, tasks: list[str], seen: dict[str, int], form: FormData
) -> Result | None:
    desk, actor = console.desk, actor_of(login.account)
    note = str(form.get("note", "")).strip()[:MAX_NOTE]
    if action == "claim":
        return await desk.claim(actor, tasks)
    if action == "release":
        return await desk.unclaim(actor, tasks)
    if action == "approve":
        return await desk.approve(actor, tasks, note, seen)
    if action == "undo":
        return await desk.undo(actor, tasks)
    if action == "fastlane":
        return await desk.fast_lane(actor, tasks, note)
    cited = str(form.get("cite", ""))
    if desk.checklist.find(cited) is None:
        return None
    return await desk.reject(actor, tasks, cited, note, seen)


def _told(t: Translator, action: str, result: Result) -> dict[str, Any]:
    reasons = {t.code("refused", why) for why in result.refused.values()}
    text = t(f"act.{action}", n=len(result.done)) if result.done else ""
    if result.refused:
        why = t("act.refused", n=len(result.refused), why=t("act.and").join(sorted(reasons)))
        text = f"{text} {why}".strip()
    told: dict[str, Any] = {"text": text, "done": result.done, "kind": "success" if result.done else "warning"}
    if action in DECISIONS and result.done:
        told["undo"] = {"seconds": UNDO_MS // 1_000, "label": t("act.take_back")}
    if CHANGED in result.refused.values():
        told["again"] = t("act.look_again")
    return told
