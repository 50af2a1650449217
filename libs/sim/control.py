"""What the HTTP sides of all simulators share: JSON bodies, bounded, and problems.

For tests and for people on the same machine; they are not authenticated and listen on loopback unless told otherwise.
"""

from __future__ import annotations

import msgspec
from fastapi import FastAPI, Request, Response

_BODY_AT_MOST = 64 * 1024


def new_app(title: str) -> FastAPI:
    """Return an application with the health pages."""
    app = FastAPI(title=title, docs_url=None, redoc_url=None)

    @app.get("/health/ready")
    @app.get("/health/live")
    async def health() -> Response:
        return json({"status": "ok"})

    return app


async def body(request: Request) -> bytes:
    """Return a request's body, an empty one as an empty object; raises ValueError for one that is too long."""
    octets = b""
    async for piece in request.stream():
        octets += piece
        if len(octets) > _BODY_AT_MOST:
            raise ValueError(f"body: more than {_BODY_AT_MOST} octets")
    return octets or b"{}"


def json(document: object) -> Response:
    """Return a document as an answer."""
    return Response(msgspec.json.encode(document), media_type="application/json")


def problem(code: str, detail: str, status: int = 422) -> Response:
    """Return an RFC 9457 problem."""
    title = {404: "Not found", 422: "Invalid request"}[status]
    document = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
    return Response(msgspec.json.encode(document), status, media_type="application/problem+json")
