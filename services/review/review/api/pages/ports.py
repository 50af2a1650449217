"""Port policies: everybody reads, administrators set, supervisors suspend and reinstate with a reason."""

import re
from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData

from console.accounts import Login, Role
from review.api.pages import Console
from review.domain.policy import PortPolicy, Tier, Window
from review.handlers.decide import MAX_NOTE
from review.handlers.people import actor_of

_PORT = re.compile(r"[0-9]{3,21}\Z")


def add(app: FastAPI, console: Console) -> None:
    """Add the routes."""
    shell = console.shell
    anyone = shell.require()
    admin, supervisor = shell.guarded(Role.ADMIN), shell.guarded(Role.SUPERVISOR)

    async def show(request: Request, login: Login, error: str = "", status: int = 200) -> Response:
        tenant = login.account.tenant
        return shell.page(
            request,
            "review/ports.html",
            login=login,
            status=status,
            rows=await console.ports.listed(tenant),
            tiers=list(Tier),
            window=Window,
            error=error,
            **await console.ports.thresholds(tenant),
        )

    @app.get("/ports", include_in_schema=False)
    async def page(request: Request, login: Annotated[Login, Depends(anyone)]) -> Response:
        return await show(request, login)

    @app.post("/ports", include_in_schema=False)
    async def put(request: Request, login: Annotated[Login, Depends(admin)]) -> Response:
        policy = _policy(await request.form())
        if isinstance(policy, str):
            return await show(request, login, policy, 422)
        await console.ports.put(actor_of(login.account), policy)
        return RedirectResponse("/ports", status_code=303)

    @app.post("/ports/threshold", include_in_schema=False)
    async def threshold(request: Request, login: Annotated[Login, Depends(admin)]) -> Response:
        value = _count(str((await request.form()).get("threshold", "")))
        if value is None:
            return await show(request, login, "ports.bad_threshold", 422)
        await console.ports.put_threshold(actor_of(login.account), value)
        return RedirectResponse("/ports", status_code=303)

    @app.post("/ports/{port}/{verb}", include_in_schema=False)
    async def change(port: str, verb: str, request: Request, login: Annotated[Login, Depends(supervisor)]) -> Response:
        reason = str((await request.form()).get("reason", "")).strip()[:MAX_NOTE]
        if len(reason) < 2 or not _PORT.match(port) or verb not in ("suspend", "reinstate"):
            return await show(request, login, "ports.bad_reason", 422)
        if verb == "suspend":
            await console.ports.suspend(actor_of(login.account), port, reason)
        else:
            await console.ports.reinstate(actor_of(login.account), port, reason)
        return RedirectResponse("/ports", status_code=303)


def _policy(form: FormData) -> PortPolicy | str:
    """Return the policy a form describes, or the message that says what is wrong with it."""
    port, tier = str(form.get("port", "")).strip(), str(form.get("tier", ""))
    if not _PORT.match(port):
        return "ports.bad_port"
    if tier not in {known.value for known in Tier}:
        return "ports.bad_tier"
    own, window = str(form.get("threshold", "")).strip(), str(form.get("window", "")).strip()
    threshold = _count(own) if own else None
    if own and threshold is None:
        return "ports.bad_threshold"
    try:
        span = Window.parse(window) if window else None
    except ValueError:
        return "ports.bad_window"
    enterprise = str(form.get("enterprise", "")).strip()[:64]
    return PortPolicy(port, Tier(tier), threshold, span, form.get("fast_lane") == "on", enterprise=enterprise)


def _count(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 7 and int(text) <= 1_000_000 else None
