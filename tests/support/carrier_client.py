"""For tests: a simulated carrier in this process, and a small client on the real engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from carrier import events
from carrier.dialect import Credentials, Limits
from carrier.dialects import dialect
from carrier.model import BindMode, Role, Submit
from carrier.session import Session, SessionConfig
from sim.carrier.faults import Faults
from sim.carrier.gateway import Account, Gateway


class Phone(asyncio.Protocol):
    """A client that remembers every event and answers whatever it is given."""

    def __init__(self, secret: str, mode: BindMode = BindMode.TRANSCEIVER) -> None:
        limits = Limits(window=1000, peer_window=1000)
        credentials = Credentials("gx", secret, mode)
        self.session = Session(
            dialect("smpp34"), Role.CLIENT, SessionConfig(credentials, limits), time.monotonic(), wall=time.time()
        )
        self.events: list[events.Event] = []
        self.happened = asyncio.Event()
        self.transport: Any = None
        self.token = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.session.start(time.monotonic())
        self.flush()

    def data_received(self, data: bytes) -> None:
        self._take(self.session.receive_data(data, time.monotonic()))

    def connection_lost(self, exc: Exception | None) -> None:
        self._take(self.session.receive_eof(time.monotonic()))

    def _take(self, news: list[events.Event]) -> None:
        self.session.acknowledge(
            [event.handle for event in news if isinstance(event, events.ReportReceived | events.DeliverReceived)]
        )
        self.flush()
        self.events += news
        self.happened.set()

    def flush(self) -> None:
        octets = self.session.bytes_to_send()
        if octets:
            self.transport.write(octets)

    def submit(self, *texts: str, recipient: str = "8613800138000") -> list[int]:
        batch = []
        for text in texts:
            self.token += 1
            batch.append((self.token, Submit(source="10690001", destination=recipient, content=text.encode())))
        self.session.submit(batch, time.monotonic())
        self.flush()
        return [token for token, _ in batch]

    async def until(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self.happened.clear()
                await self.happened.wait()

    def all(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


class Carrier:
    """The gateway under test and its port."""

    def __init__(self, gateway: Gateway, port: int) -> None:
        self.gateway, self.port = gateway, port

    async def connect(self, secret: str = "secret", mode: BindMode = BindMode.TRANSCEIVER) -> Phone:
        return await connect(self.port, secret, mode)

    def faults(self, **changed: Any) -> None:
        self.gateway.behaviour.change(Faults(**changed))

    @property
    def stats(self) -> dict[str, Any]:
        return self.gateway.stats.document(self.gateway.clock())


@asynccontextmanager
async def running_carrier(*, protocol: str = "smpp34", sessions: int = 2, **faults: Any) -> AsyncIterator[Carrier]:
    """Yield a gateway that listens on a free port with one account, gx/secret."""
    gateway = Gateway(
        dialect(protocol), [Account("gx", "secret", sessions)], Faults(**{"receipt_delay_ms": 0, **faults})
    )
    port = await gateway.listen("127.0.0.1", 0)
    ticking = asyncio.create_task(gateway.run())
    try:
        yield Carrier(gateway, port)
    finally:
        ticking.cancel()
        await gateway.close()


async def connect(port: int, secret: str = "secret", mode: BindMode = BindMode.TRANSCEIVER) -> Phone:
    """Bind to whatever listens on ``port``; returns when bound or refused."""
    _, phone = await asyncio.get_running_loop().create_connection(lambda: Phone(secret, mode), "127.0.0.1", port)
    await phone.until(lambda: bool(phone.all(events.Bound) or phone.all(events.BindRefused)))
    return phone
