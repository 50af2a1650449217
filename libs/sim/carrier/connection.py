"""One client's connection: octets in and out, the engine in between."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import structlog

from carrier import events
from carrier.dialect import Credentials, Kind, Limits
from carrier.errors import UsageError
from carrier.model import BindMode, Mo, Outcome, Report, Role
from carrier.session import Session, SessionConfig
from sim.carrier.answers import answer_to
from sim.carrier.stats import AccountStats

if TYPE_CHECKING:
    from sim.carrier.gateway import Account, Gateway

log = structlog.get_logger()

_CALLS_AS = BindMode.RECEIVER
"""Modes are named as the provider sees them: the carrier calls to be received from."""

_NOBODYS_SECRET = "not-the-agreed-one"  # noqa: S105 - a fault, not a secret

_GARBAGE = bytes.fromhex("00000003fffffffe")
"""A length no PDU can have."""


class Connection(asyncio.Protocol):
    """Thin: what to do with an event is the gateway's affair.

    ``caller`` is the account whose listener the gateway called: then we bind, and bring receipts and replies.
    """

    def __init__(self, gateway: Gateway, caller: Account | None = None) -> None:
        self._gateway = gateway
        self._transport: asyncio.Transport | None = None
        self._token = 0
        self._written: dict[int, Report | Mo] = {}
        self._takes_delivers = False
        self.caller = caller
        self.account = caller.account if caller is not None else ""
        self.stats = gateway.stats.account(self.account) if caller is not None else AccountStats()
        self.alive = True
        self.answers: list[tuple[int, int | Outcome, str]] = []
        self.lost = 0
        now = gateway.clock()
        limits = gateway.dialect.limits
        # A carrier does not cut a client off for a large window: that is what the `window` fault is for.
        generous = Limits(
            window=200, peer_window=100_000, response=30.0, keepalive_idle=limits.keepalive_idle, bind=limits.bind
        )
        role, config = Role.SERVER, SessionConfig(limits=generous)
        if caller is not None:
            credentials = Credentials(caller.listener_account or caller.account, caller.listener_secret, _CALLS_AS)
            role, config = (
                Role.CLIENT,
                SessionConfig(credentials, replace(generous, window=gateway.dialect.limits.window)),
            )
        self.session = Session(gateway.dialect, role, config, now, wall=gateway.wall())
        self._octets_written = 0

    @property
    def waiting(self) -> int:
        """Submits the client has no answer to and may still expect one for."""
        return self.session.unanswered - len(self.answers) - self.lost

    @property
    def was_bound(self) -> bool:
        """Whether the session ever got as far as carrying receipts."""
        return self._takes_delivers

    @property
    def takes_delivers(self) -> bool:
        """Whether receipts and replies may be written here."""
        return self.alive and self._takes_delivers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._transport = transport
        self._gateway.opened(self)
        if self.caller is not None:
            self.session.start(self._gateway.clock())
            self.flush()

    def data_received(self, data: bytes) -> None:
        """Octets came; during silence they are read and nothing comes of them."""
        if self._gateway.behaviour.faults.silence:
            self._count_ignored(data)
            return
        now = self._gateway.clock()
        self._react(self.session.receive_data(data, now), now)
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
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
        receipts = sum([type(item) is Report for _, item in batch])
        counts["receipts_sent"] += receipts
        counts["receipts_waiting"] -= receipts
        counts["mo_sent"] += len(batch) - receipts
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
            self._write(self._transport, octets)

    def _write(self, transport: asyncio.Transport, octets: bytes) -> None:
        """Write, with the faults of the wire: small pieces, a cut in the middle of a PDU, octets that are no PDU."""
        faults = self._gateway.behaviour.faults
        if faults.cut_after_octets and self._octets_written + len(octets) >= faults.cut_after_octets:
            transport.write(octets[: max(0, faults.cut_after_octets - self._octets_written)])
            self.stats.counts["disconnects"] += 1
            transport.close()
            return
        self._octets_written += len(octets)
        if faults.fragment_octets:
            for start in range(0, len(octets), faults.fragment_octets):
                transport.write(octets[start : start + faults.fragment_octets])
        else:
            transport.write(octets)
        if self._gateway.behaviour.garbage_now():
            self.stats.counts["garbage"] += 1
            transport.write(_GARBAGE)

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
            elif isinstance(event, events.Bound) and self.caller is not None:
                self._takes_delivers = True
                gateway.called(self)
            elif isinstance(event, events.RequestReceived):
                self._answer(event)
            elif isinstance(event, events.PeerError):
                self.stats.counts["peer_errors"] += 1
                log.warning("peer_error", account=self.account, code=event.code, detail=event.detail)
            elif isinstance(event, events.Closed):
                self._end()

    def _answer(self, request: events.RequestReceived) -> None:
        fields = answer_to(request.name, request.fields, self.stats.counts)
        if fields is not None:
            self.session.answer_request(request.handle, fields)
            return
        try:
            self.session.answer(request.handle, Outcome.PERMANENT)
        except UsageError:
            # Between gateways only (CMPP_FWD, routes): a provider has no business asking, and no status says so.
            self.stats.counts["peer_errors"] += 1
            log.warning("unanswerable_request", account=self.account, name=request.name)

    def _bind(self, request: events.BindRequested, now: float) -> None:
        gateway = self._gateway
        refusal = gateway.judge_bind(self, request, now)
        if refusal is None:
            self.account = request.account
            self.stats = gateway.stats.account(request.account)
            account = gateway.accounts[request.account]
            # A provider with a listener of its own is called there; else its own session must do, where that may be.
            rights = gateway.dialect.rights(Role.SERVER, request.mode)
            self._takes_delivers = Kind.DELIVER in rights.send and not account.listener
        log.info("bind", account=request.account, mode=request.mode.value, refused=refusal.value if refusal else "")
        if refusal is None and gateway.behaviour.faults.wrong_proof:
            # The answer proves the secret that was checked last: now one that only we know.
            self.session.check_bind(_NOBODYS_SECRET, now)
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
