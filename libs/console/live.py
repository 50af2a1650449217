"""Live updates: one hub per process tells open pages that something changed; they fetch what they show again.

An event carries a name and no data: what a page may see is decided when it asks.  Bursts are joined, so a thousand changes a
second cost a page four refreshes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import StreamingResponse

JOIN_S = 0.25
BEAT_S = 15.0
"""A comment so often, so that a proxy does not cut the stream and a page that went away is noticed."""

MAX_LISTENERS = 500


class Hub:
    """Tells listeners which names changed."""

    def __init__(self) -> None:
        """Begin without listeners."""
        self._listeners: dict[int, tuple[asyncio.Event, set[str]]] = {}
        self._next = 0
        self._closing = False

    def tell(self, name: str) -> None:
        """Say that ``name`` changed; never blocks."""
        for event, names in self._listeners.values():
            names.add(name)
            event.set()

    def close(self) -> None:
        """End all streams: the process stops."""
        self._closing = True
        self.tell("closing")

    @property
    def listeners(self) -> int:
        """Number of open streams."""
        return len(self._listeners)

    async def stream(self, request: Request) -> StreamingResponse:
        """Answer with server-sent events until the page goes away."""
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        if self._closing or len(self._listeners) >= MAX_LISTENERS:
            return StreamingResponse(_once(b"retry: 5000\n\n"), media_type="text/event-stream", headers=headers)
        return StreamingResponse(self._events(request), media_type="text/event-stream", headers=headers)

    async def _events(self, request: Request) -> AsyncIterator[bytes]:
        number, self._next = self._next, self._next + 1
        event, names = asyncio.Event(), set[str]()
        self._listeners[number] = (event, names)
        try:
            yield b"retry: 1000\n\nevent: hello\ndata: 1\n\n"
            while not self._closing:
                try:
                    async with asyncio.timeout(BEAT_S):
                        await event.wait()
                except TimeoutError:
                    yield b": beat\n\n"
                    continue
                await asyncio.sleep(JOIN_S)
                told = sorted(names)
                names.clear()
                event.clear()
                for name in told:
                    yield f"event: {name}\ndata: 1\n\n".encode()
                if await request.is_disconnected():
                    return
        finally:
            del self._listeners[number]


async def _once(octets: bytes) -> AsyncIterator[bytes]:
    yield octets
