"""People: administrators make, change, unlock and disable accounts; everybody changes his own password."""

import re
from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData

from console.accounts import Login, Role
from review.api.pages import Console
from review.handlers.people import SHORTEST_PASSWORD, Change
from servicekit.auth import MAX_PASSWORD_LENGTH

_NAME = re.compile(r"[\w.@-]{1,64}\Z")


def add(app: FastAPI, console: Console) -> None:
    """Add the routes."""
    shell = console.shell
    reads, admin, anyone, self_ = shell.require(Role.ADMIN), shell.guarded(Role.ADMIN), shell.require(), shell.guarded()

    async def show(request: Request, login: Login, error: str = "", status: int = 200) -> Response:
        rows = await console.people.people(login.account.tenant)
        return shell.page(
            request, "review/users.html", login=login, status=status, rows=rows, error=error, shortest=SHORTEST_PASSWORD
        )

    @app.get("/users", include_in_schema=False)
    async def page(request: Request, login: Annotated[Login, Depends(reads)]) -> Response:
        return await show(request, login)

    @app.post("/users", include_in_schema=False)
    async def create(request: Request, login: Annotated[Login, Depends(admin)]) -> Response:
        form = await request.form()
        name, password, change = str(form.get("name", "")).strip(), str(form.get("password", "")), _change(form)
        if change is None or not _NAME.match(name):
            return await show(request, login, "users.bad_name", 422)
        if not _fit(password):
            return await show(request, login, "users.bad_password", 422)
        if not await console.people.create(login.account, name, password, change):
            return await show(request, login, "users.taken", 409)
        return RedirectResponse("/users", status_code=303)

    @app.post("/users/{name}/{verb}", include_in_schema=False)
    async def alter(name: str, verb: str, request: Request, login: Annotated[Login, Depends(admin)]) -> Response:
        form = await request.form()
        people, by = console.people, login.account
        if name == by.name and verb in ("disable", "change"):
            # The last administrator could lock everybody out.
            return await show(request, login, "users.not_yourself", 422)
        if verb == "password":
            if not _fit(str(form.get("password", ""))):
                return await show(request, login, "users.bad_password", 422)
            done = await people.reset(by, name, str(form.get("password", "")))
        elif verb in ("disable", "enable"):
            done = await people.disable(by, name, disabled=verb == "disable")
        else:
            change = _change(form)
            done = verb == "change" and change is not None and await people.change(by, name, change)
        if not done:
            return await show(request, login, "users.bad_name", 422)
        return RedirectResponse("/users", status_code=303)

    @app.get("/account", include_in_schema=False)
    async def account(request: Request, login: Annotated[Login, Depends(anyone)]) -> Response:
        return shell.page(request, "review/account.html", login=login, error="", shortest=SHORTEST_PASSWORD)

    @app.post("/account", include_in_schema=False)
    async def password(request: Request, login: Annotated[Login, Depends(self_)]) -> Response:
        form = await request.form()
        old, new = str(form.get("old", "")), str(form.get("password", ""))
        error = ""
        if not _fit(new):
            error = "users.bad_password"
        elif not await console.people.check_password(login.account, old):
            error = "users.wrong_old"
        if error:
            return shell.page(
                request, "review/account.html", login=login, status=422, error=error, shortest=SHORTEST_PASSWORD
            )
        await console.people.reset(login.account, login.account.name, new)
        return RedirectResponse("/login", status_code=303)


def _fit(password: str) -> bool:
    return SHORTEST_PASSWORD <= len(password) <= MAX_PASSWORD_LENGTH


def _change(form: FormData) -> Change | None:
    role = str(form.get("role", ""))
    if role not in {known.value for known in Role}:
        return None
    linked = re.split(r"[\s,，]+", str(form.get("api_users", ""))[:1_000])
    return Change(
        Role(role), str(form.get("display", "")).strip()[:64], tuple(name[:64] for name in linked if name)[:20]
    )
