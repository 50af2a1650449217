"""For tests: a simulated carrier in this process, and a small client on the real engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
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

    def __init__(
        self,
        secret: str,
        mode: BindMode = BindMode.TRANSCEIVER,
        *,
        protocol: str = "smpp34",
        settings: Mapping[str, object] | None = None,
        limits: Limits | None = None,
    ) -> None:
        config = SessionConfig(Credentials("gx", secret, mode), limits or Limits(window=1000, peer_window=1000))
        self.dialect = dialect(protocol, settings)
        self.session = Session(self.dialect, Role.CLIENT, config, time.monotonic(), wall=time.time())
        self.events: list[events.Event] = []
        self.happened = asyncio.Event()
        self.transport: Any = None
        self.token = 0
        self.octets_read = 0
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.session.start(time.monotonic())
        self.flush()

    def data_received(self, data: bytes) -> None:
        self.octets_read += len(data)
        self._take(self.session.receive_data(data, time.monotonic()))

    def connection_lost(self, exc: Exception | None) -> None:
        self._take(self.session.receive_eof(time.monotonic()))
        self.lost.set()

    async def close(self) -> None:
        """Cut the connection; returns when it is gone."""
        self.transport.abort()
        await self.lost.wait()

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

    def send(self, *batch: Submit) -> list[int]:
        """Submit whole segments; returns their tokens."""
        tokens = [self.token + place for place in range(1, len(batch) + 1)]
        self.session.submit(list(zip(tokens, batch, strict=True)), time.monotonic())
        self.token += len(batch)
        self.flush()
        return tokens

    def unbind(self) -> None:
        """Say goodbye; `Closed` comes as an event."""
        self._take(self.session.unbind(time.monotonic()))

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
async def running_carrier(
    *,
    protocol: str = "smpp34",
    sessions: int = 2,
    listener: str = "",
    settings: Mapping[str, object] | None = None,
    **faults: Any,
) -> AsyncIterator[Carrier]:
    """Yield a gateway that listens on a free port with one account, gx/secret."""
    account = Account("gx", "secret", sessions, listener, listener_secret="secret" if listener else "")
    gateway = Gateway(dialect(protocol, settings), [account], Faults(**{"receipt_delay_ms": 0, **faults}))
    port = await gateway.listen("127.0.0.1", 0)
    ticking = asyncio.create_task(gateway.run())
    try:
        yield Carrier(gateway, port)
    finally:
        ticking.cancel()
        await gateway.close()


class Desk(Phone):
    """The other end of a bind: a provider's listener that lets the carrier in and remembers what it brings."""

    def __init__(self, secret: str = "secret", *, protocol: str, settings: Mapping[str, object] | None = None) -> None:
        super().__init__(secret, protocol=protocol, settings=settings)
        self.secret = secret
        config = SessionConfig(limits=Limits(window=1000, peer_window=1000))
        self.session = Session(self.dialect, Role.SERVER, config, time.monotonic(), wall=time.time())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def _take(self, news: list[events.Event]) -> None:
        for event in list(news):
            if isinstance(event, events.BindRequested):
                refusal = self.session.check_bind(self.secret, time.monotonic())
                news = news + self.session.answer_bind(refusal, time.monotonic())
        super()._take(news)


@asynccontextmanager
async def listening_desk(
    protocol: str, secret: str = "secret", settings: Mapping[str, object] | None = None
) -> AsyncIterator[tuple[int, asyncio.Queue[Desk]]]:
    """Yield a port and the desks that open there, one for each connection."""
    desks: asyncio.Queue[Desk] = asyncio.Queue()
    opened: list[Desk] = []

    def open_desk() -> Desk:
        desk = Desk(secret, protocol=protocol, settings=settings)
        opened.append(desk)
        desks.put_nowait(desk)
        return desk

    server = await asyncio.get_running_loop().create_server(open_desk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], desks
    finally:
        server.close()
        for desk in opened:
            if desk.transport is not None:
                await desk.close()


async def connect(
    port: int,
    secret: str = "secret",
    mode: BindMode = BindMode.TRANSCEIVER,
    *,
    protocol: str = "smpp34",
    settings: Mapping[str, object] | None = None,
    limits: Limits | None = None,
) -> Phone:
    """Bind to whatever listens on ``port``; returns when bound or refused."""
    _, phone = await asyncio.get_running_loop().create_connection(
        lambda: Phone(secret, mode, protocol=protocol, settings=settings, limits=limits), "127.0.0.1", port
    )
    await phone.until(lambda: bool(phone.all(events.Bound) or phone.all(events.BindRefused)))
    return phone
