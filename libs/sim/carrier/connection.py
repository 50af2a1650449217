"""One client's connection: octets in and out, the engine in between."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import structlog

from carrier import events
from carrier.dialect import Limits
from carrier.model import BindMode, Mo, Outcome, Report, Role
from carrier.session import Session, SessionConfig
from sim.carrier.stats import AccountStats

if TYPE_CHECKING:
    from sim.carrier.gateway import Gateway

log = structlog.get_logger()


class Connection(asyncio.Protocol):
    """Thin: what to do with an event is the gateway's affair."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._transport: asyncio.Transport | None = None
        self._token = 0
        self._written: dict[int, Report | Mo] = {}
        self._takes_delivers = False
        self.account = ""
        self.stats = AccountStats()
        self.alive = True
        self.answers: list[tuple[int, int | Outcome, str]] = []
        self.lost = 0
        now = gateway.clock()
        limits = gateway.dialect.limits
        # A carrier does not cut a client off for a large window: that is what the `window` fault is for.
        generous = Limits(
            window=200, peer_window=100_000, response=30.0, keepalive_idle=limits.keepalive_idle, bind=limits.bind
        )
        config = SessionConfig(limits=generous)
        self.session = Session(gateway.dialect, Role.SERVER, config, now, wall=gateway.wall())

    @property
    def waiting(self) -> int:
        """Submits the client has no answer to and may still expect one for."""
        return self.session.unanswered - len(self.answers) - self.lost

    @property
    def takes_delivers(self) -> bool:
        """Whether receipts and replies may be written here."""
        return self.alive and self._takes_delivers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._transport = transport
        self._gateway.opened(self)

    def data_received(self, data: bytes) -> None:
        """Octets came; during silence they are read and nothing comes of them."""
        if self._gateway.behaviour.faults.silence:
            self._count_ignored(data)
            return
        now = self._gateway.clock()
        self._react(self.session.receive_data(data, now), now)
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The connection ended: what was written and not answered is sent again elsewhere."""
        self.alive = False
        now = self._gateway.clock()
        self._react(self.session.receive_eof(now), now)
        self._gateway.gone(self)
        if self._written:
            self._gateway.put_back(self.account, list(self._written.values()))
            self._written.clear()

    def next_token(self, item: Report | Mo) -> int:
        """Return a token for an item that is about to be written."""
        self._token += 1
        self._written[self._token] = item
        return self._token

    def deliver(self, batch: list[tuple[int, Report | Mo]], now: float) -> None:
        """Write receipts and replies."""
        self.session.deliver(batch, now)
        counts = self.stats.counts
        for _, item in batch:
            if isinstance(item, Report):
                counts["receipts_sent"] += 1
                counts["receipts_waiting"] -= 1
            else:
                counts["mo_sent"] += 1
        self.flush()

    def check_timer(self, now: float) -> None:
        """Let the engine's deadlines pass."""
        deadline = self.session.next_deadline()
        if deadline is not None and deadline <= now and not self._gateway.behaviour.faults.silence:
            self._react(self.session.handle_timer(now), now)
            self.flush()

    def flush(self) -> None:
        """Write what the engine has to say, the collected answers first."""
        if self.answers:
            answers, self.answers = self.answers, []
            self.session.answer_many(answers)
        octets = self.session.bytes_to_send()
        if octets and self._transport is not None and not self._transport.is_closing():
            self._transport.write(octets)

    def cut(self) -> None:
        """End the connection as a cable would: no unbind, no last octets."""
        self.alive = False
        if self._transport is not None:
            self._transport.abort()

    def _count_ignored(self, data: bytes) -> None:
        self.stats.counts["unanswered"] += 1 if data else 0

    def _react(self, happened: list[events.Event], now: float) -> None:
        gateway = self._gateway
        for event in happened:
            if isinstance(event, events.SubmitReceived):
                gateway.take(self, event, now)
            elif isinstance(event, events.Answered):
                self._delivered(event)
            elif isinstance(event, events.BindRequested):
                self._bind(event, now)
            elif isinstance(event, events.RequestReceived):
                self.session.answer(event.handle, Outcome.PERMANENT)
            elif isinstance(event, events.PeerError):
                self.stats.counts["peer_errors"] += 1
                log.warning("peer_error", account=self.account, code=event.code, detail=event.detail)
            elif isinstance(event, events.Closed):
                self._end()

    def _bind(self, request: events.BindRequested, now: float) -> None:
        gateway = self._gateway
        refusal = gateway.judge_bind(self, request, now)
        if refusal is None:
            self.account = request.account
            self.stats = gateway.stats.account(request.account)
            self._takes_delivers = request.mode is not BindMode.TRANSMITTER
        log.info("bind", account=request.account, mode=request.mode.value, refused=refusal.value if refusal else "")
        self._react(self.session.answer_bind(refusal, now), now)

    def _delivered(self, answer: events.Answered) -> None:
        item = self._written.pop(answer.token, None)
        if item is None:
            return
        if answer.outcome in {Outcome.TEMPORARY, Outcome.THROTTLED}:
            self._gateway.put_back(self.account, [item])
            return
        self.stats.counts["receipts_answered" if isinstance(item, Report) else "mo_answered"] += 1

    def _end(self) -> None:
        self.flush()
        self.alive = False
        if self._transport is not None:
            self._transport.close()
