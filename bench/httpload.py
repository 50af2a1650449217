"""HTTP/1.1 load over keep-alive connections, cheap enough not to be what is measured: one request under way a connection.

A request is repeated until it is accepted, as a caller does that loses nothing: after a refusal of 429 or 5xx, after a connection that
ended without an answer, after one that could not be made.  Anything else refused is an error of the benchmark and ends it.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

PAUSE_S = 0.05
"""Before a request that was not accepted is sent again."""


class Refused(Exception):
    """The server refused for good; the text says what it said."""


@dataclass
class Traffic:
    """What is sent: ``request(n)`` for n in 0..total-1; ``accepted`` judges the answer's status and body."""

    host: str
    port: int
    request: Callable[[int], bytes]
    total: int
    connections: int = 32
    rate: float = 0.0
    """Requests a second, evenly spaced, over all connections; 0: as fast as answers come."""
    accepted: Callable[[int, bytes], bool] = lambda status, _: status == 202
    stop: Callable[[], bool] = lambda: False
    """Asked before each new request: true ends the run early."""

    done: int = 0
    seconds: list[float] = field(default_factory=list)
    """From the first attempt of a request to its acceptance."""
    repeated: Counter[str] = field(default_factory=Counter)
    begun: float = 0.0
    ended: float = 0.0
    answers: list[tuple[int, bytes]] | None = None
    """When a list is given, it is filled with (number, body of the acceptance)."""
    _next: int = 0

    async def run(self) -> None:
        """Send everything; returns when all is accepted."""
        self.begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self.connections, self.total)):
                group.create_task(self._connection())
        self.ended = time.monotonic()

    async def _connection(self) -> None:
        link = _Link()
        try:
            while self._next < self.total and not self.stop():
                number = self._next
                self._next += 1
                if self.rate:
                    await asyncio.sleep(max(0.0, self.begun + number / self.rate - time.monotonic()))
                await self._one(link, number)
        finally:
            link.close()

    async def _one(self, link: _Link, number: int) -> None:
        octets = self.request(number)
        begun = time.monotonic()
        while True:
            try:
                status, body = await link.ask(self.host, self.port, octets)
            except (OSError, ConnectionError) as error:
                self.repeated[type(error).__name__] += 1
            else:
                if self.accepted(status, body):
                    break
                if status != 429 and status < 500:
                    raise Refused(f"{status} {body[:300].decode('utf-8', 'replace')}")
                self.repeated[str(status)] += 1
            await asyncio.sleep(PAUSE_S)
        self.done += 1
        self.seconds.append(time.monotonic() - begun)
        if self.answers is not None:
            self.answers.append((number, body))


class _Link(asyncio.Protocol):
    """One connection, opened again when it was closed."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[tuple[int, bytes]] | None = None
        self._buffer = b""

    async def ask(self, host: str, port: int, octets: bytes) -> tuple[int, bytes]:
        """Return status and body of the answer; raises OSError when there is none."""
        loop = asyncio.get_running_loop()
        if self._transport is None:
            await loop.create_connection(lambda: self, host, port)
        assert self._transport is not None
        self._waiting = loop.create_future()
        self._transport.write(octets)
        return await self._waiting

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        waiting = self._waiting
        if waiting is not None and not waiting.done():
            head, _, body = self._buffer.partition(b"\r\n\r\n")
            if body and b"content-length:" not in head.lower() and b"chunked" not in head.lower():
                waiting.set_result((int(head[9:12]), body))  # a body that ends with its connection
            else:
                waiting.set_exception(ConnectionResetError("closed without an answer"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        found = answer(self._buffer)
        waiting = self._waiting
        if found is None or waiting is None or waiting.done():
            return
        status, body, keep = found
        self._buffer = b""
        if not keep:
            self.close()
        waiting.set_result((status, body))


def answer(octets: bytes) -> tuple[int, bytes, bool] | None:
    """Return status, body and whether the connection stays, or None while the answer is not whole."""
    head, blank, body = octets.partition(b"\r\n\r\n")
    if not blank:
        return None
    lower = head.lower()
    keep = b"connection: close" not in lower
    status = int(head[9:12])
    at = lower.find(b"\r\ncontent-length:")
    if at >= 0:
        length = int(lower[at + 17 :].split(b"\r\n", 1)[0])
        return (status, body, keep) if len(body) >= length else None
    if b"\r\ntransfer-encoding: chunked" in lower:
        return (status, _joined(body), keep) if body.endswith(b"0\r\n\r\n") else None
    return None


def _joined(body: bytes) -> bytes:
    pieces = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size.split(b";", 1)[0], 16)
        if not length:
            break
        pieces.append(rest[:length])
        body = rest[length + 2 :]
    return b"".join(pieces)
