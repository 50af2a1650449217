"""What a page reads from a request is plain: forms are urlencoded and hold no NUL, which PostgreSQL's text cannot.

A NUL in a path, a query or a form becomes U+FFFD, so that it matches nothing and breaks nothing.  A multipart body is no form here and
reads as empty: no page sends one, its charset parameter makes texts (lone surrogates) that can be neither stored nor shown, and without
a boundary its parser fails.
"""

from __future__ import annotations

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_REPLACEMENT = b"%EF%BF%BD"


class PlainInput:
    """ASGI middleware; bodies that are no forms pass untouched."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        kind = next((value.lower() for name, value in headers if name == b"content-type"), b"")
        if kind.startswith(b"multipart/"):
            headers = [pair for pair in headers if pair[0] != b"content-type"]
        plain: dict[str, Any] = {
            "headers": headers,
            "path": scope["path"].replace("\0", "\ufffd"),
            "query_string": _without_nul(scope.get("query_string", b"")),
        }
        is_form = kind.startswith(b"application/x-www-form-urlencoded")
        await self._app({**scope, **plain}, _cleaned(receive) if is_form else receive, send)


def _without_nul(octets: bytes) -> bytes:
    return octets.replace(b"%00", _REPLACEMENT).replace(b"\0", _REPLACEMENT)


def _cleaned(receive: Receive) -> Receive:
    held = b""

    async def next_message() -> Message:
        nonlocal held
        message = await receive()
        if message["type"] != "http.request":
            return message
        octets, held = held + message.get("body", b""), b""
        if message.get("more_body", False):
            # "%00" may be cut between two pieces.
            cut = octets.rfind(b"%", max(0, len(octets) - 2))
            if cut >= 0:
                octets, held = octets[:cut], octets[cut:]
        return {**message, "body": _without_nul(octets)}

    return next_message
