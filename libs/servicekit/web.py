"""The HTTP application every service starts from: problem details, health, metrics, tracing, and a bound on bodies.

Boundary: knows no route of any service.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from opentelemetry.trace import SpanKind
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from servicekit import apidoc
from servicekit import metrics as exposition
from servicekit import own_metrics as metrics
from servicekit.database import DatabaseUnavailable
from servicekit.lifecycle import Runtime
from servicekit.problems import (
    BY_STATUS,
    INTERNAL,
    INVALID_REQUEST,
    MALFORMED,
    UNAVAILABLE,
    Problem,
    define,
    problem_response,
)
from servicekit.telemetry import span
from servicekit.validation import reasons

log = structlog.get_logger()

MAX_BODY_OCTETS = 1024 * 1024
"""Default bound of a request body; a service that takes uploads names its own."""

REFUSED = define("request.refused", 400, "请求被拒绝", "The request is refused")
_QUIET = ("/health/live", "/health/ready", "/metrics")
_NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""FastAPI's own spans and logs hold paths, queries and the text of exceptions, and so numbers and contents; ours are in `_Observed`."""


def build_app(
    runtime: Runtime, *, title: str, description: str = "", version: str = "1", max_body_octets: int = MAX_BODY_OCTETS
) -> FastAPI:
    """Return a FastAPI application with everything the services share; add your routes to it."""
    app = FastAPI(
        title=title, description=description, version=version, docs_url=None, redoc_url=None, telemetry=_NO_TELEMETRY
    )
    _add_handlers(app)
    _add_operations(app, runtime)
    apidoc.describe(app)
    app.add_middleware(_Bounded, limit=max_body_octets)
    app.add_middleware(_Observed)
    return app


def _add_handlers(app: FastAPI) -> None:
    @app.exception_handler(Problem)
    async def on_problem(request: Request, problem: Problem) -> Response:
        return _respond(request, problem)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> Response:
        return _respond(request, validation_problem(error))

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        problem_type = BY_STATUS.get(error.status_code, REFUSED if error.status_code < 500 else INTERNAL)
        return _respond(request, Problem(problem_type, headers=error.headers))

    @app.exception_handler(DatabaseUnavailable)
    async def on_outage(request: Request, error: DatabaseUnavailable) -> Response:
        log.warning("request_refused", reason="database unavailable", error=str(error))
        return _respond(
            request,
            Problem(
                UNAVAILABLE,
                zh="数据库暂不可用, 请稍后重试",
                en="The database is unavailable; try again shortly",
                headers={"retry-after": "1"},
            ),
        )

    @app.exception_handler(Exception)
    async def on_fault(request: Request, error: Exception) -> Response:
        log.error("request_failed", route=_route(request.scope), reason=type(error).__name__, exc_info=error)
        return _respond(request, Problem(INTERNAL))


def _add_operations(app: FastAPI, runtime: Runtime) -> None:
    @app.get("/health/live", include_in_schema=False)
    async def live() -> Response:
        return Response(b'{"status":"live"}', media_type="application/json")

    @app.get("/health/ready", include_in_schema=False)
    async def ready() -> Response:
        report = await runtime.health.report()
        body = {
            "status": "ready" if report.ready else "not_ready",
            "service": runtime.settings.service,
            "instance": runtime.settings.instance,
            "checks": report.checks,
        }
        return Response(
            msgspec.json.encode(body), status_code=200 if report.ready else 503, media_type="application/json"
        )

    @app.get("/metrics", include_in_schema=False)
    async def expose() -> Response:
        text, content_type = exposition.exposition()
        return Response(text, media_type=content_type)


def validation_problem(error: RequestValidationError) -> Problem:
    """Return the refusal that names each field and what is wrong with it, never its value."""
    errors = reasons(error.errors())
    if any(e["code"] == "json_invalid" for e in errors):
        return Problem(MALFORMED, zh="请求体不是合法的 JSON", en="The body is not valid JSON", errors=errors)
    return Problem(
        INVALID_REQUEST,
        zh="; ".join(f"{e['field']}: {e['zh']}" for e in errors[:5]),
        en="; ".join(f"{e['field']}: {e['en']}" for e in errors[:5]),
        errors=errors,
    )


def _respond(request: Request, problem: Problem) -> Response:
    return problem_response(problem, request.headers.get("accept-language", ""))


class _Bounded:
    """Refuses a body above the limit, by its announced length or while it arrives."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = next((v for k, v in scope["headers"] if k == b"content-length"), b"")
        if announced.isdigit() and int(announced) > self._limit:
            problem = Problem(BY_STATUS[413], zh=f"最多 {self._limit} 字节", en=f"At most {self._limit} octets")
            await _respond(Request(scope), problem)(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                # FastAPI passes this class through its body parser untouched, and turns any other into a 400.
                raise HTTPException(413)
            return message

        await self._app(scope, counted, send)


class _Observed:
    """A span and a duration per request; the route's pattern stands in both, never the path (it may hold a number)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _QUIET:
            await self._app(scope, receive, send)
            return
        status = 500
        parent = next((v.decode("latin-1") for k, v in scope["headers"] if k == b"traceparent"), "")
        begun = time.perf_counter()

        async def answered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with span(f"HTTP {scope['method']}", parent, kind=SpanKind.SERVER) as current:
            try:
                await self._app(scope, receive, answered)
            finally:
                route = _route(scope)
                method = scope["method"] if scope["method"] in _METHODS else "other"
                metrics.HTTP_SECONDS.labels(method, route, str(status)).observe(time.perf_counter() - begun)
                if current.is_recording():
                    current.update_name(f"{method} {route}")
                    current.set_attribute("http.response.status_code", status)


_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


def _route(scope: Scope) -> str:
    route: Any = scope.get("route")
    if route is not None:
        return str(getattr(route, "path", "unmatched"))
    endpoint = scope.get("endpoint")
    return getattr(endpoint, "__name__", "unmatched") if endpoint is not None else "unmatched"
