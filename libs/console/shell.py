"""The shell: renders pages in the person's language and theme, guards them by session, role and CSRF token, and owns the login.

A service makes one `Shell`, mounts it on its application and uses `page`, `require` and `guarded` in its routes.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined

from console import show
from console.accounts import Accounts, Login, Refusal, Role
from console.assets import PREFIX, Assets
from console.i18n import HTML_LANG, Catalog, Language, Translator, language_of
from console.plain import PlainInput
from console.security import SecurityHeaders
from servicekit.auth import same
from servicekit.clock import Clock

SESSION_COOKIE = "gx_session"
LANGUAGE_COOKIE = "gx_lang"
THEME_COOKIE = "gx_theme"
LOGIN_COOKIE = "gx_login"
_YEAR_S = 365 * 86_400
_LOGIN_S = 900
_HERE = Path(__file__).parent

MAX_FIELD = 256
"""Characters of a name or password; longer input is refused before it is looked at."""


class SignInNeeded(Exception):
    """No live session: the browser is sent to the login page."""


class Forbidden(Exception):
    """The person's role does not allow it, or the request did not come from our own page."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class NavItem:
    """An entry of the navigation, shown to ``roles``; ``key`` is the message of its name."""

    path: str
    key: str
    icon: str
    roles: frozenset[Role] = frozenset(Role)


class Shell:
    """The web shell of one service."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        clock: Clock,
        vendor_assets: Path,
        templates: Path,
        static: Mapping[str, Path],
        messages: Sequence[Path],
        nav: Sequence[NavItem],
        home: str,
        secure_cookies: bool,
        product: str = "关心 Guanxin",
    ) -> None:
        """Read templates, messages and files once.  ``home`` is where a login leads to."""
        self.accounts = accounts
        self.clock = clock
        self.catalog = Catalog(_HERE / "messages.toml", *messages)
        self.assets = Assets(vendor_assets, console=_HERE / "static", **dict(static))
        self.nav = tuple(nav)
        self.home = home
        self.product = product
        self._secure = secure_cookies
        self._jinja = Environment(
            loader=ChoiceLoader([FileSystemLoader(templates), FileSystemLoader(_HERE / "templates")]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._jinja.globals.update(asset=self.assets.url, moment=show.moment, hour=show.hour, count=show.count)

    def mount(self, app: FastAPI) -> None:
        """Add files, login, language and theme to the application, headers to all its answers, and a sieve to its input."""
        app.add_middleware(PlainInput)
        app.add_middleware(SecurityHeaders)
        app.add_exception_handler(SignInNeeded, self._on_sign_in)
        app.add_exception_handler(Forbidden, self._on_forbidden)
        add = app.add_api_route
        hidden: dict[str, Any] = {"include_in_schema": False}
        app.add_route(PREFIX + "/{path:path}", self.assets.serve, methods=["GET"], include_in_schema=False)
        add("/favicon.ico", self._favicon, methods=["GET"], **hidden)
        add("/login", self.login_page, methods=["GET"], **hidden)
        add("/login", self.sign_in, methods=["POST"], **hidden)
        add("/logout", self.sign_out, methods=["POST"], **hidden)
        add("/language/{language}", self.choose_language, methods=["POST"], **hidden)
        add("/theme/{theme}", self.choose_theme, methods=["POST"], **hidden)

    # ------------------------------------------------------------------------------------------------------- pages

    def language(self, request: Request) -> Language:
        """Return the language of the request."""
        return language_of(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language", ""))

    def translator(self, request: Request) -> Translator:
        """Return the texts of the request's language."""
        return self.catalog.translator(self.language(request))

    def page(
        self, request: Request, template: str, *, login: Login | None = None, status: int = 200, **context: Any
    ) -> HTMLResponse:
        """Return a rendered template; names it uses and does not get are a fault, not a blank."""
        t = self.translator(request)
        role = login.account.role if login is not None else None
        html = self._jinja.get_template(template).render(
            t=t,
            lang=t.language,
            html_lang=HTML_LANG[t.language],
            theme=self._theme(request),
            span=lambda seconds: show.span(seconds, t),
            login=login,
            csrf=login.csrf if login is not None else "",
            nav=[item for item in self.nav if role in item.roles],
            path=request.scope["path"],
            home=self.home,
            product=self.product,
            now_ms=self.clock.wall_ms(),
            roles=Role,
            **context,
        )
        return HTMLResponse(html, status_code=status, headers={"content-language": HTML_LANG[t.language]})

    # ------------------------------------------------------------------------------------------------------ guards

    async def login_of(self, request: Request) -> Login | None:
        """Return the live session of the request."""
        token = request.cookies.get(SESSION_COOKIE, "")
        return await self.accounts.session(token) if 0 < len(token) <= MAX_FIELD else None

    def require(self, *roles: Role) -> Callable[[Request], Awaitable[Login]]:
        """Return a dependency: a live session whose role is one of ``roles`` (none given: any)."""

        async def dependency(request: Request) -> Login:
            login = await self.login_of(request)
            if login is None:
                raise SignInNeeded
            if roles and login.account.role not in roles:
                raise Forbidden("role")
            return login

        return dependency

    def guarded(self, *roles: Role) -> Callable[[Request], Awaitable[Login]]:
        """Return a dependency like `require` for what changes something: the CSRF token must come with it."""
        inner = self.require(*roles)

        async def dependency(request: Request) -> Login:
            login = await inner(request)
            token = request.headers.get("x-csrf-token") or str((await request.form()).get("csrf", ""))
            if not same(token, login.csrf):
                raise Forbidden("csrf")
            return login

        return dependency

    # ------------------------------------------------------------------------------------------------------- routes

    async def login_page(self, request: Request) -> Response:
        """Show the login, or go on when there is a session."""
        if await self.login_of(request) is not None:
            return RedirectResponse(self.home, status_code=303)
        return self._login_form(request, "", "")

    async def sign_in(self, request: Request) -> Response:
        """Open a session; the form's token must be the cookie's, so that no foreign page can log somebody in."""
        form = await request.form()
        name, password = str(form.get("name", "")).strip(), str(form.get("password", ""))
        token, kept = str(form.get("login", "")), request.cookies.get(LOGIN_COOKIE, "")
        if not kept or not same(token, kept):
            return self._login_form(request, name[:MAX_FIELD], "login.stale", status=400)
        if not (0 < len(name) <= MAX_FIELD and 0 < len(password) <= MAX_FIELD):
            return self._login_form(request, name[:MAX_FIELD], "login.wrong", status=401)
        login = await self.accounts.sign_in(name, password)
        if isinstance(login, Refusal):
            return self._login_form(request, name, f"login.{login.value}", status=401)
        response = RedirectResponse(_local(str(form.get("next", "")), self.home), status_code=303)
        self._set(response, SESSION_COOKIE, login.token, None)
        response.delete_cookie(LOGIN_COOKIE)
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        login = await self.guarded()(request)
        await self.accounts.sign_out(login)
        response = RedirectResponse("/login", status_code=303)
        response.delete_cookie(SESSION_COOKIE)
        return response

    async def choose_language(self, request: Request) -> Response:
        """Remember the language; changes nothing else, so it needs no session."""
        language = request.path_params["language"]
        response = self._back(request)
        if language in ("zh", "en"):
            self._set(response, LANGUAGE_COOKIE, language, _YEAR_S)
        return response

    async def choose_theme(self, request: Request) -> Response:
        """Remember light or dark."""
        theme = request.path_params["theme"]
        response = self._back(request)
        if theme in ("light", "dark"):
            self._set(response, THEME_COOKIE, theme, _YEAR_S)
        return response

    async def _favicon(self) -> Response:
        return RedirectResponse(self.assets.url("console/favicon.svg"), status_code=301)

    def _login_form(self, request: Request, name: str, error: str, *, status: int = 200) -> Response:
        token = secrets.token_urlsafe(24)
        wanted = _local(request.query_params.get("next", ""), "")
        response = self.page(
            request, "console/login.html", status=status, name=name, error=error, login_token=token, next=wanted
        )
        self._set(response, LOGIN_COOKIE, token, _LOGIN_S)
        return response

    def _set(self, response: Response, name: str, value: str, max_age: int | None) -> None:
        response.set_cookie(name, value, max_age=max_age, httponly=True, secure=self._secure, samesite="lax", path="/")

    def _back(self, request: Request) -> Response:
        # The referrer may be any page's: only its path is used, so this leads nowhere but to ourselves.
        try:
            parts = urlsplit(request.headers.get("referer", ""))
        except ValueError:
            # What is no address leads home.
            return RedirectResponse(self.home, status_code=303)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return RedirectResponse(_local(target, self.home), status_code=303)

    @staticmethod
    def _theme(request: Request) -> str:
        return "dark" if request.cookies.get(THEME_COOKIE) == "dark" else "light"

    async def _on_sign_in(self, request: Request, _error: Exception) -> Response:
        if request.headers.get("hx-request") == "true" or request.method != "GET":
            # htmx follows this header by loading the whole page instead of swapping a login form into a table.
            return Response(status_code=401, headers={"hx-redirect": "/login"})
        return RedirectResponse(f"/login?next={quote(request.scope['path'])}", status_code=303)

    async def _on_forbidden(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, Forbidden), "registered for this class only"
        login = await self.login_of(request)
        return self.page(request, "console/forbidden.html", login=login, status=403, reason=error.reason)


def _local(target: str, fallback: str) -> str:
    """Return a path of ours, never another site's: one leading slash, no scheme, no backslash."""
    safe = target.startswith("/") and not target.startswith(("//", "/\\")) and len(target) <= 512
    return target if safe and "\\" not in target and target.isprintable() else fallback
