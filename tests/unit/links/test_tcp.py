"""The shell around a session on real sockets: order, guard, timers, ends."""

from __future__ import annotations

import asyncio
import inspect
import time
from dataclasses import replace

import pytest
import uvloop

from carrier.dialect import Credentials
from carrier.dialects import dialect
from carrier.events import (
    Answered,
    BindRefused,
    BindRequested,
    Bound,
    Closed,
    CloseReason,
    DeliverReceived,
    SubmitReceived,
)
from carrier.model import Mo, Refusal, Role, Submit
from carrier.session import Session, SessionConfig
from links import connect, listen

SMPP = dialect("smpp34")


class Peer:
    """A carrier that binds everybody and answers what it is told to."""

    def __init__(self, *, refusal: Refusal | None = None, silent: bool = False) -> None:
        self.refusal = refusal
        self.silent = silent
        self.events: list = []
        self.connections: list = []

    async def start(self):
        limits = replace(SMPP.limits, window=1000)
        self.server = await listen(
            "127.0.0.1",
            0,
            lambda now, wall: Session(SMPP, Role.SERVER, SessionConfig(limits=limits), now, wall=wall),
            self.on_events,
        )
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    def on_events(self, connection, events):
        if connection not in self.connections:
            self.connections.append(connection)
        self.events += events
        for event in events:
            if isinstance(event, BindRequested):
                connection.session.check_bind("pw", time.monotonic())
                connection.session.answer_bind(self.refusal, time.monotonic())
            elif isinstance(event, SubmitReceived) and not self.silent:
                connection.session.answer_many([(event.handle, 0, f"{len(self.events)}")])

    async def stop(self):
        self.server.close()
        for connection in self.connections:
            connection.abort("test over")


class Client:
    def __init__(self) -> None:
        self.events: list = []
        self.changed = asyncio.Event()

    def on_events(self, connection, events):
        self.events += events
        self.changed.set()

    async def until(self, kind, count: int = 1):
        async with asyncio.timeout(10):
            while sum(isinstance(e, kind) for e in self.events) < count:
                self.changed.clear()
                await self.changed.wait()
        return [e for e in self.events if isinstance(e, kind)]

    async def connect(self, port: int, **limits):
        may_write = limits.pop("may_write", None)
        config = SessionConfig(Credentials("gx", "pw"), replace(SMPP.limits, **limits))
        return await connect(
            "127.0.0.1",
            port,
            lambda now, wall: Session(SMPP, Role.CLIENT, config, now, wall=wall),
            self.on_events,
            may_write=may_write,
        )


def submit(n: int) -> Submit:
    return Submit(source="10655", destination=f"86138{n:08d}", content=b"x")


async def case_a_window_there_and_back_in_order(peer):
    client = Client()
    connection = await client.connect(peer.port, window=200)
    await client.until(Bound)
    connection.session.submit([(n, submit(n)) for n in range(200)], time.monotonic())
    assert connection.flush()
    answers = await client.until(Answered, 200)
    assert [a.token for a in answers] == list(range(200))
    connection.unbind()
    (closed,) = await client.until(Closed)
    assert closed.reason is CloseReason.UNBOUND
    assert closed.unanswered == ()
    await connection.closed.wait()


async def case_the_guard_cuts_before_the_next_octet(peer):
    client = Client()
    allowed = [True]
    connection = await client.connect(peer.port, may_write=lambda: allowed[0])
    await client.until(Bound)
    allowed[0] = False
    connection.session.submit([(1, submit(1))], time.monotonic())
    assert not connection.flush()
    (closed,) = await client.until(Closed)
    assert closed.reason is CloseReason.ABORTED
    assert closed.unanswered == (1,)
    await connection.closed.wait()
    async with asyncio.timeout(10):
        while not any(isinstance(e, Closed) for e in peer.events):  # noqa: ASYNC110 - another connection of the same loop is watched
            await asyncio.sleep(0)
    assert not any(isinstance(e, SubmitReceived) for e in peer.events)


async def case_silence_ends_in_one_closed_with_the_unanswered():
    peer = await Peer(silent=True).start()
    try:
        client = Client()
        connection = await client.connect(peer.port, response=0.2)
        await client.until(Bound)
        connection.session.submit([(7, submit(7)), (8, submit(8))], time.monotonic())
        connection.flush()
        (closed,) = await client.until(Closed)
        assert closed.reason is CloseReason.RESPONSE_TIMEOUT
        assert closed.unanswered == (7, 8)
        await connection.closed.wait()
        assert sum(isinstance(e, Closed) for e in client.events) == 1
    finally:
        await peer.stop()


async def case_a_peer_that_goes_away(peer):
    client = Client()
    connection = await client.connect(peer.port)
    await client.until(Bound)
    peer.connections[0].abort("cable pulled")
    (closed,) = await client.until(Closed)
    assert closed.reason is CloseReason.EOF
    await connection.closed.wait()
    assert not connection.flush()


async def case_a_refused_bind():
    peer = await Peer(refusal=Refusal.CREDENTIALS).start()
    try:
        client = Client()
        connection = await client.connect(peer.port)
        (refused,) = await client.until(BindRefused)
        assert refused.refusal is Refusal.CREDENTIALS
        await client.until(Closed)
        await connection.closed.wait()
    finally:
        await peer.stop()


async def case_a_message_is_answered_only_when_we_say_so(peer):
    client = Client()
    connection = await client.connect(peer.port)
    await client.until(Bound)
    carrier = peer.connections[0]
    carrier.session.deliver([(1, Mo(source="86138", destination="10655", content=b"T"))], time.monotonic())
    carrier.flush()
    (received,) = await client.until(DeliverReceived)
    assert not any(isinstance(e, Answered) for e in peer.events)
    assert connection.session.acknowledge([received.handle]) == 1
    connection.flush()
    async with asyncio.timeout(10):
        while not any(isinstance(e, Answered) for e in peer.events):  # noqa: ASYNC110 - another connection of the same loop is watched
            await asyncio.sleep(0)


async def case_nobody_there():
    client = Client()
    with pytest.raises(OSError):
        await client.connect(1)


CASES = [value for name, value in sorted(globals().items()) if name.startswith("case_")]


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__.removeprefix("case_"))
def test_connection(case, loop):
    """On both loops: tests elsewhere run on the one, production on the other, whose transports are of other classes."""

    async def run():
        if not inspect.signature(case).parameters:
            await case()
            return
        peer = await Peer().start()
        try:
            await case(peer)
        finally:
            await peer.stop()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())
