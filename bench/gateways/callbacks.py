"""``python callbacks.py PORT``: the business system's side that is told of each receipt, counted per message; `/stats` says how many.

Takes each form of telling: a GET with the message in its query (`to` or `id`), or a POST of many events in JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import cast
from urllib.parse import parse_qsl, urlsplit

import msgspec
import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n"
JASMIN = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nACK/Jasmin"
"""Jasmin insists on this body; the others look at the status only."""


class _Event(msgspec.Struct):
    id: str


class _Batch(msgspec.Struct):
    events: list[_Event]


class Tally:
    """What was told: calls, receipts, messages, and when the latest came (monotonic seconds, the same for all processes)."""

    def __init__(self) -> None:
        self.calls = self.receipts = 0
        self.last = 0.0
        self.seen: set[str] = set()

    def add(self, names: list[str]) -> None:
        self.calls += 1
        self.receipts += len(names)
        self.seen.update(names)
        self.last = time.monotonic()

    def document(self) -> bytes:
        return json.dumps(
            {"calls": self.calls, "receipts": self.receipts, "distinct": len(self.seen), "last": self.last}
        ).encode()


class Receiver(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            head, blank, rest = self._buffer.partition(b"\r\n\r\n")
            if not blank:
                return
            lower = head.lower()
            at = lower.find(b"\r\ncontent-length:")
            length = int(lower[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            self._told(head, rest[:length])
            if b"connection: close" in lower:
                self._transport.close()

    def _told(self, head: bytes, body: bytes) -> None:
        target = urlsplit(head.split(b" ", 2)[1].decode())
        if target.path == "/stats":
            document = self._tally.document()
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(document), document))
            return
        if head.startswith(b"POST"):
            self._tally.add([event.id for event in msgspec.json.decode(body, type=_Batch).events])
            self._transport.write(ANSWER)
            return
        fields = dict(parse_qsl(target.query))
        self._tally.add([fields.get("to") or fields["id"]])
        self._transport.write(ANSWER if "to" in fields else JASMIN)


async def _serve(port: int) -> None:
    tally = Tally()
    server = await asyncio.get_running_loop().create_server(lambda: Receiver(tally), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
