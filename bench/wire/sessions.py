"""How many submits a second one session carries to our simulated carrier, which runs in a process of its own."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

import uvloop

from carrier.dialect import Credentials
from carrier.dialects import dialect
from carrier.events import Answered
from carrier.model import Role, Submit
from carrier.session import Session, SessionConfig

ACCOUNT, PASSWORD = "bench", "secret"


class Client(asyncio.Protocol):
    """Our engine: keeps its window full until its share is answered."""

    def __init__(self, protocol: str, count: int, window: int, content: bytes, done: asyncio.Future[float]) -> None:
        made = dialect(protocol)
        limits = replace(made.limits, window=window, attempts=1)
        self.session = Session(
            made, Role.CLIENT, SessionConfig(Credentials(ACCOUNT, PASSWORD), limits), time.monotonic(), wall=time.time()
        )
        self._submit = Submit("95598", "13800000001", content, 8, wants_report=False)
        self._unsent = self._left = count
        self._half = count // 2  # the first half warms up
        self._done, self._begun = done, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self.session.start(time.monotonic())
        self._transport.write(self.session.bytes_to_send())

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        for event in self.session.receive_data(data, now):
            if isinstance(event, Answered):
                assert event.status == 0, event
                self._left -= 1
                if self._left == self._half:
                    self._begun = now
        room = min(self.session.window_free, self._unsent)
        if room:
            self._unsent -= room
            self.session.submit([(self._unsent + place, self._submit) for place in range(room)], now)
        self._transport.write(self.session.bytes_to_send())
        if not self._left and not self._done.done():
            self._done.set_result(now - self._begun)
            self._transport.close()


async def _ours(protocol: str, port: int, count: int, window: int, content: bytes) -> float:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[float] = loop.create_future()
    await loop.create_connection(lambda: Client(protocol, count, window, content, done), "127.0.0.1", port)
    return await asyncio.wait_for(done, 120)


def ours(protocol: str, port: int, count: int, window: int, content: bytes) -> float:
    """Seconds for the second half of ``count`` submits."""
    return uvloop.run(_ours(protocol, port, count, window, content))


@contextmanager
def simulator(protocol: str) -> Iterator[tuple[int, int]]:
    """Yield the ports of a simulated carrier: its protocol's, its figures'."""
    port, http_port = _free_port(), _free_port()
    command = [
        sys.executable, "-m", "sim.carrier", "--protocol", protocol, "--port", str(port), "--http-port", str(http_port),
        "--account", f"{ACCOUNT}:{PASSWORD}:4",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield port, http_port
        finally:
            process.terminate()


def counted(http_port: int) -> int:
    """Submits the simulator has taken."""
    with urllib.request.urlopen(f"http://127.0.0.1:{http_port}/stats") as answer:
        return int(json.load(answer)["accepted"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
