"""How many submits a second the carrier simulator takes, with receipts: it must be nobody's bottleneck.

The simulator runs in a process of its own; the client here is the same engine over plain sockets, `--sessions` of them.
Prints submits per second and the CPU each side spent per submit (answer and receipt included).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import time
import urllib.request
from typing import cast

import psutil
import uvloop

from carrier.dialect import Credentials, Limits
from carrier.dialects import dialect
from carrier.events import Answered, Bound, ReportReceived
from carrier.model import Role, Submit
from carrier.session import Session, SessionConfig


class Tally:
    """Receipts of all sessions together: a carrier sends them on whichever session it likes."""

    def __init__(self, expected: int, done: asyncio.Future[None]) -> None:
        self.missing, self.done = expected, done

    def add(self, count: int) -> None:
        self.missing -= count
        if self.missing <= 0 and not self.done.done():
            self.done.set_result(None)


class Client(asyncio.Protocol):
    """Keeps its window full until its share is submitted."""

    def __init__(self, protocol: str, count: int, window: int, tally: Tally) -> None:
        limits = Limits(window=window, peer_window=100_000)
        config = SessionConfig(credentials=Credentials("bench", "secret"), limits=limits)
        self.session = Session(dialect(protocol), Role.CLIENT, config, time.monotonic(), wall=time.time())
        self.left, self.tally = count, tally

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.session.start(time.monotonic())
        transport.write(self.session.bytes_to_send())

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        handles = []
        for event in self.session.receive_data(data, now):
            if isinstance(event, Answered):
                assert event.status == 0, event
            elif isinstance(event, ReportReceived):
                handles.append(event.handle)
            else:
                assert isinstance(event, Bound), event
        self.session.acknowledge(handles)
        room = min(self.session.window_free, self.left)
        if room:
            self.session.submit(
                [
                    (
                        position,
                        Submit(
                            source="10690001",
                            destination=str(8613800000000 + id(self) % 9999 * 100_000 + position),
                            content=b"0123456789" * 6,
                        ),
                    )
                    for position in range(self.left - room, self.left)
                ],
                now,
            )
            self.left -= room
        self.transport.write(self.session.bytes_to_send())
        self.tally.add(len(handles))


def _stats(port: int) -> dict[str, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats") as answer:
        document: dict[str, int] = json.load(answer)
        return document


async def _drive(protocol: str, port: int, sessions: int, messages: int, window: int) -> float:
    loop = asyncio.get_running_loop()
    started = time.monotonic()
    tally = Tally(messages // sessions * sessions, loop.create_future())
    for _ in range(sessions):
        await loop.create_connection(lambda: Client(protocol, messages // sessions, window, tally), "127.0.0.1", port)
    await asyncio.wait_for(tally.done, 120)
    return time.monotonic() - started


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Run once and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--protocol", default="smpp34")
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--sessions", type=int, default=4)
    parser.add_argument("--window", type=int, default=50)
    options = parser.parse_args()
    port, http_port = _free_port(), _free_port()
    command = [
        sys.executable, "-m", "sim.carrier", "--protocol", options.protocol, "--port", str(port), "--http-port",
        str(http_port), "--account", f"bench:secret:{options.sessions}",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as simulator:
        assert simulator.stdout is not None
        print(simulator.stdout.readline().strip())
        process = psutil.Process(simulator.pid)
        before = process.cpu_times()
        own_before = psutil.Process().cpu_times()
        took = uvloop.run(_drive(options.protocol, port, options.sessions, options.messages, options.window))
        after, own_after = process.cpu_times(), psutil.Process().cpu_times()
        seen = _stats(http_port)
        simulator.terminate()
    count = options.messages // options.sessions * options.sessions
    cpu = (after.user + after.system - before.user - before.system) * 1e6 / count
    own = (own_after.user + own_after.system - own_before.user - own_before.system) * 1e6 / count
    print(f"submits with receipts   {count:>10,}")
    print(f"seconds                 {took:>10.2f}")
    print(f"submits per second      {count / took:>10,.0f}")
    print(f"simulator CPU us each   {cpu:>10.1f}")
    print(f"client CPU us each      {own:>10.1f}")
    print(f"simulator counted       {seen['submits']:>10,}   duplicates {seen['duplicates']}, receipts answered "
          f"{seen['receipts_answered']:,}")  # fmt: skip


if __name__ == "__main__":
    main()
