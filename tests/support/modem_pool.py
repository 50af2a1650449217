"""For tests: simulated modems in this process, and a sender that works through them as a modem pool does."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from gsm import Action, Config, Frame, Options, StatusReport, address_of, decode_frame, is_final, submits
from gsm.modem_events import Event, Ready, Received, Refused, Sent, Uncertain
from links.serial import ModemConnection, open_tcp, open_tty
from sim.modem.__main__ import identities
from sim.modem.faults import ModemFaults
from sim.modem.pool import Pool
from sim.modem.port import PtyPort, TcpPort


@asynccontextmanager
async def running_modems(
    directory: Path, count: int = 1, *, tcp: bool = False, first_number: str = "8613900000001", **faults: Any
) -> AsyncIterator[Pool]:
    """Yield a pool that is plugged in; terminals are `directory/modem-1` and so on."""
    known = identities(count, first_number, "1234")
    places = [
        partial(TcpPort, "127.0.0.1", 0) if tcp else partial(PtyPort, directory / identity.name) for identity in known
    ]
    settings = ModemFaults(**{"report_delay_ms": 0, "boot_ms": 20, "retry_ms": 20, **faults})
    pool = Pool(list(zip(known, places, strict=True)), settings)
    await pool.start()
    running = asyncio.create_task(pool.run())
    try:
        yield pool
    finally:
        running.cancel()
        await pool.close()


class Computer:
    """One modem's owner: keeps a session on its line, opens it again when lost, remembers what came."""

    def __init__(self, address: str, config: Config | None = None, *, tcp: bool = False) -> None:
        self.address = address
        self.config = config or Config(command_wait=5, send_wait=5)
        self.events: list[Event] = []
        self.changed = asyncio.Event()
        self.connection: ModemConnection | None = None
        self.on_event: Callable[[Computer, Event], None] = lambda computer, event: None
        self.acknowledges = True
        self._tcp = tcp

    async def open(self) -> ModemConnection:
        """Open the line; raises OSError while there is none."""
        if self._tcp:
            host, _, port = self.address.rpartition(":")
            self.connection = await open_tcp(host, int(port), self.config, self._take)
        else:
            self.connection = await open_tty(self.address, self.config, self._take)
        return self.connection

    async def keep_open(self) -> None:
        """Open it again whenever it is lost, until cancelled."""
        while True:
            try:
                connection = await self.open()
            except OSError:
                await asyncio.sleep(0.02)
                continue
            await connection.closed.wait()

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()

    def _take(self, connection: ModemConnection, events: list[Event]) -> None:
        self.connection = connection
        for event in events:
            self.events.append(event)
            if isinstance(event, Received) and self.acknowledges:
                connection.modem.acknowledge(event.handle, time.monotonic())
            self.on_event(self, event)
        connection.flush()
        self.changed.set()

    def send(self, token: int, frame: Frame) -> None:
        assert self.connection is not None
        self.connection.modem.send(token, frame, time.monotonic())
        self.connection.flush()

    @property
    def free(self) -> bool:
        return self.connection is not None and self.connection.modem.free and not self.connection.closed.is_set()

    def all(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def pdus(self) -> list[Any]:
        """What was received, decoded."""
        return [decode_frame(event.octets, to_phone=True, length=event.length).pdu for event in self.all(Received)]

    async def until(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        """Wait for a condition that events bring about."""
        async with asyncio.timeout(seconds):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def computer(
    pool: Pool, name: str = "modem-1", config: Config | None = None, *, tcp: bool = False, ready: bool = True
) -> AsyncIterator[Computer]:
    """Yield an owner of one modem, by default once the modem can send."""
    owner = Computer(pool.units[name].port.address, config, tcp=tcp)
    keeping = asyncio.create_task(owner.keep_open())
    try:
        if ready:
            await owner.until(lambda: bool(owner.all(Ready)))
        yield owner
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        owner.close()


class Sender:
    """Sends texts through several modems, one in flight each, and matches their reports."""

    def __init__(self, texts: dict[int, tuple[str, str]]) -> None:
        self.texts = texts
        """Token to (recipient, text)."""
        self.waiting = deque(texts)
        self.sent: set[int] = set()
        self.failed: dict[int, int | None] = {}
        self.uncertain = 0
        self.refused = 0
        self.reported: set[int] = set()
        self.unmatched = 0
        self.done = asyncio.Event()
        self._owners: list[Computer] = []
        self._given: dict[tuple[str, int, str], int] = {}
        self._early: dict[tuple[str, int, str], int] = {}
        self._unclear: dict[tuple[str, str], int] = {}

    def attach(self, owner: Computer) -> None:
        """Use this modem too."""
        self._owners.append(owner)
        owner.on_event = self._take

    def feed(self, owner: Computer) -> None:
        """Give a free modem its next message."""
        if owner.free and self.waiting:
            token = self.waiting.popleft()
            recipient, text = self.texts[token]
            (submit,) = submits(text, address_of("+" + recipient), Options())
            owner.send(token, Frame(submit))

    def _take(self, owner: Computer, event: Event) -> None:
        if isinstance(event, Sent):
            self.sent.add(event.token)
            key = (owner.address, event.reference, self.texts[event.token][0])
            self._given[key] = event.token
            if self._early.pop(key, 0):
                self.reported.add(event.token)
        elif isinstance(event, Uncertain):
            self.uncertain += 1
            self._unclear[owner.address, self.texts[event.token][0]] = event.token
            self.waiting.append(event.token)  # the class whose rule is to send again
        elif isinstance(event, Refused):
            self.refused += 1
            if event.action is Action.FAIL:
                self.failed[event.token] = event.code
            else:
                self.waiting.append(event.token)
        elif isinstance(event, Received):
            self._report(owner, event)
        if isinstance(event, Sent | Uncertain | Refused | Ready):
            for free in self._owners:  # what one could not send may go through any other
                asyncio.get_running_loop().call_soon(self.feed, free)
        if len(self.sent) + len(self.failed) == len(self.texts) and self.reported >= self.sent:
            self.done.set()

    def _report(self, owner: Computer, event: Received) -> None:
        pdu = decode_frame(event.octets, to_phone=True, length=event.length).pdu
        if not isinstance(pdu, StatusReport) or not is_final(pdu.tp_st):
            return
        recipient = pdu.tp_ra.number
        key = (owner.address, pdu.tp_mr, recipient)
        token = self._given.get(key, self._unclear.get((owner.address, recipient)))
        if token is not None:
            self.reported.add(token)
        elif any(text[0] == recipient for text in self.texts.values()):
            self._early[key] = 1  # it came before the answer of its message
        else:
            self.unmatched += 1
