"""``POST /v1/messages`` as a bare ASGI application: one request costs tens of microseconds instead of FastAPI's 140.

It is in the same application and the same OpenAPI document as everything else (`ingest.api.sending` registers it); only the framework
is left out of its path.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

import structlog
from opentelemetry.trace import SpanKind
from starlette.types import ASGIApp, Receive, Scope, Send

from ingest import metrics, problems
from ingest.api.services import Services, target_of
from ingest.domain.refusal import Refused
from ingest.domain.request import decode_message
from ingest.domain.single import judge
from ingest.handlers.gate import Credentials
from ingest.handlers.once import Answer, checked_key
from servicekit import own_metrics
from servicekit.database import DatabaseUnavailable
from servicekit.problems import INTERNAL, TOO_LARGE, UNAVAILABLE, Problem, problem_response
from servicekit.telemetry import current_traceparent, span
from smstext import REASONS

log = structlog.get_logger()

PATH = "/v1/messages"
MAX_BODY = 64 * 1024
"""Octets: 2,000 characters, 20 variables and a URL are a tenth of it."""

_JSON = (b"content-type", b"application/json")


class HotMessages:
    """The endpoint; answers every request of its path and method."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._trace_every_s = 1 / max(1, services.settings.traces_per_second)
        self._next_trace = 0.0
        self._seconds = own_metrics.HTTP_SECONDS.labels("POST", PATH, "202")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        begun = time.perf_counter()
        credentials = Credentials(scope["headers"])
        try:
            if credentials.traceparent or begun >= self._next_trace:
                # A span costs as much as the rest of the request, so new traces are begun at the bounded rate only.
                self._next_trace = begun + self._trace_every_s
                with span("HTTP POST /v1/messages", credentials.traceparent, kind=SpanKind.SERVER):
                    answer = await self._answer(scope, receive, credentials, current_traceparent())
            else:
                answer = await self._answer(scope, receive, credentials, "")
        except Exception as refusal:  # noqa: BLE001 - the framework's handler of last resort is not above this endpoint
            problem = as_problem(refusal)
            metrics.REFUSED.labels(problem.type.code).inc()
            status = str(problem.type.status)
            own_metrics.HTTP_SECONDS.labels("POST", PATH, status).observe(time.perf_counter() - begun)
            await problem_response(problem, credentials.accept_language)(scope, receive, send)
            return
        headers = [_JSON, (b"content-length", str(len(answer.body)).encode())]
        if answer.repeated:
            headers.append((b"idempotent-replay", b"true"))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})
        self._seconds.observe(time.perf_counter() - begun)

    async def _answer(self, scope: Scope, receive: Receive, credentials: Credentials, traceparent: str) -> Answer:
        services = self._services
        key = services.gate.key(credentials, "send")
        if services.disk.low():
            raise Problem(problems.DISK_LOW, headers={"retry-after": "30"})
        body = await _read(receive)
        digest = b""
        if credentials.signature or key.require_signature or credentials.idempotency_key:
            digest = hashlib.sha256(body).digest()
            services.gate.signed(key, credentials, "POST", target_of(scope), digest.hex())
        idem_key = checked_key(credentials.idempotency_key)
        request = decode_message(body)
        single = judge(request, key.caller, services.clock.wall_ms(), services.limits)
        target_id = await services.targets.of(key, request.callback_url) if request.callback_url else None

        async def commit() -> Answer:
            return await services.singles.accept(
                single,
                key_id=key.key_id,
                idem_key=idem_key,
                body_digest=digest,
                target_id=target_id,
                traceparent=traceparent,
            )

        if not idem_key:
            return await commit()
        return await services.in_flight.once(key.key_id, idem_key, digest, commit)


async def _read(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body", False):
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            break
    if len(body) > MAX_BODY:
        raise Problem(TOO_LARGE, zh=f"请求体最多 {MAX_BODY} 字节", en=f"The body may have {MAX_BODY} octets")
    return body


def as_problem(refusal: Exception) -> Problem:
    """Return what the caller is told of a refusal."""
    if isinstance(refusal, Problem):
        return refusal
    if isinstance(refusal, Refused):
        cause = refusal.details.get("cause", "")
        words = REASONS.get(cause) or problems.ROW_REASONS.get(cause)
        problem = problems.problem_of(refusal.code, refusal.details)
        if words is not None:
            problem.zh, problem.en = words
        return problem
    if isinstance(refusal, DatabaseUnavailable):
        return Problem(UNAVAILABLE, zh="数据库暂不可用", en="The database is unavailable", headers={"retry-after": "1"})
    log.error("request_failed", route=PATH, reason=type(refusal).__name__, exc_info=refusal)
    return Problem(INTERNAL)


class Shortcut:
    """The outermost application: the hot endpoint directly, everything else through the framework."""

    def __init__(self, app: ASGIApp, hot: HotMessages) -> None:
        self._app = app
        self._hot = hot

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "POST":
            await self._hot(scope, receive, send)
        else:
            await self._app(scope, receive, send)
