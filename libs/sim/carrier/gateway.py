"""One listening gateway: accounts, sessions, receipts and replies, on the engine's server role.

The only asyncio here is the transport of `Connection` and one timer; who decides is `behaviour`, who counts is `stats`.
Nothing here knows a protocol's name.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

import msgspec
import smstext
import structlog
from carrier import events
from carrier.dialect import Dialect, Limits
from carrier.model import BindMode, Mo, Outcome, Refusal, Report, Role, Submit
from carrier.session import Session, SessionConfig
from smstext import Coding

from sim.carrier.behaviour import Behaviour, Fate, ReceiptPlan
from sim.carrier.faults import Faults
from sim.carrier.schedule import Schedule
from sim.carrier.stats import AccountStats, Sample, Stats

log = structlog.get_logger()

_TICK_S = 0.002
"""Least time between two looks at what is due: receipts and answers leave in batches."""

_DUE_AT_MOST = 2_000
"""Most receipts of one tick, so that reading submits is never kept waiting."""


class Account(msgspec.Struct, frozen=True):
    """Who may bind: the protocol's own account name, its secret, and the sessions agreed."""

    account: str
    secret: str
    sessions: int = 1


class _Receipt(msgspec.Struct, gc=False):
    account: str
    origin: int
    report: Report


class _Late(msgspec.Struct, gc=False):
    """An answer that waits for its latency."""

    connection: Connection
    handle: int
    status: int
    message_id: str


class Gateway:
    """All connections of one protocol's port."""

    def __init__(
        self,
        dialect: Dialect,
        accounts: Sequence[Account],
        faults: Faults,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.dialect = dialect
        self.accounts = {account.account: account for account in accounts}
        self.behaviour = Behaviour(faults)
        self.stats = Stats()
        self.clock = clock
        self.wall = wall
        self.bound: dict[str, list[Connection]] = {}
        self.late: Schedule[_Late] = Schedule()
        self._receipts: Schedule[_Receipt] = Schedule()
        self._ready: dict[str, deque[Report | Mo]] = {}
        self._connections: set[Connection] = set()
        self._serial = 0
        self._turn = 0
        self._next_cut = 0.0
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> int:
        """Start listening; returns the port (0 asks for a free one)."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def run(self) -> None:
        """Do what is due until cancelled."""
        while True:
            await asyncio.sleep(_TICK_S)
            self.tick(self.clock())

    async def close(self) -> None:
        """Stop listening and cut every session."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.cut()

    def new_message_id(self) -> str:
        """Return the next carrier id, in the dialect's notation."""
        self._serial += 1
        return self.dialect.new_message_id(self._serial, self.wall())

    # Sessions ---------------------------------------------------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        """A TCP connection came."""
        self._connections.add(connection)

    def gone(self, connection: Connection) -> None:
        """A TCP connection ended; its session, if it was bound, with it."""
        self._connections.discard(connection)
        bound = self.bound.get(connection.account, [])
        if connection in bound:
            bound.remove(connection)
            self.stats.account(connection.account).session_closed()

    def judge_bind(self, connection: Connection, request: events.BindRequested, now: float) -> Refusal | None:
        """Count a bind attempt and decide it; a refusal above the agreed number is counted as such."""
        counts = self.stats.account(request.account).counts
        counts["bind_attempts"] += 1
        account = self.accounts.get(request.account)
        if account is None:
            refusal: Refusal | None = Refusal.CREDENTIALS
        else:
            refusal = connection.session.check_bind(account.secret, now)
            if refusal is None and self.behaviour.faults.refuse_bind:
                refusal = Refusal.TEMPORARY
            if refusal is None and len(self.bound.get(request.account, [])) >= account.sessions:
                counts["over_sessions"] += 1
                refusal = Refusal.LIMIT
        counts["binds_accepted" if refusal is None else "binds_refused"] += 1
        if refusal is None:
            self.bound.setdefault(request.account, []).append(connection)
            self.stats.account(request.account).session_opened()
        return refusal

    # Submits ----------------------------------------------------------------------------------------------------------

    def take(self, connection: Connection, received: events.SubmitReceived, now: float) -> None:
        """Decide one submit, answer it now or later, and plan its receipts."""
        stats, behaviour, faults = connection.stats, self.behaviour, self.behaviour.faults
        counts, submit = stats.counts, received.submit
        counts["submits"] += 1
        fate = behaviour.fate(connection.accepted_rate(now), connection.session.unanswered)
        stats.submit_rate.add(now)
        if fate is Fate.IGNORE:
            counts["unanswered"] += 1
            return
        if fate is not Fate.ACCEPT:
            self._reject(connection, received.handle, fate, now)
            return
        counts["accepted"] += 1
        connection.accepted(now)
        message_id = self.new_message_id()
        self._count_content(connection.account, submit)
        plan = behaviour.receipt(submit.destination) if submit.wants_report else None
        early = plan is not None and plan.delay_s < 0
        if plan is not None and early:
            self._plan_receipts(connection, submit, message_id, plan, now - 1.0)
            self._send_due(now)
        if behaviour.response_lost():
            counts["unanswered"] += 1
            connection.session.forget(received.handle)
        elif faults.latency_ms:
            self.late.put(now + faults.latency_ms / 1000, _Late(connection, received.handle, 0, message_id))
        else:
            connection.session.answer(received.handle, now, 0, message_id)
        if plan is not None and not early:
            self._plan_receipts(connection, submit, message_id, plan, now + faults.latency_ms / 1000 + plan.delay_s)

    def _reject(self, connection: Connection, handle: int, fate: Fate, now: float) -> None:
        counts, faults = connection.stats.counts, self.behaviour.faults
        counts["rejected"] += 1
        if fate is Fate.THROTTLE:
            counts["throttled"] += 1
            if faults.window and connection.session.unanswered > faults.window:
                counts["over_window"] += 1
        outcome = Outcome.THROTTLED if fate is Fate.THROTTLE else Outcome.PERMANENT
        status = self.dialect.submit_statuses[outcome]
        if faults.latency_ms:
            self.late.put(now + faults.latency_ms / 1000, _Late(connection, handle, status, ""))
        else:
            connection.session.answer(handle, now, status, "")

    def _count_content(self, account: str, submit: Submit) -> None:
        content = submit.content
        if not submit.udhi:
            if submit.part_total > 1:
                part = (submit.part_reference, submit.part_total, submit.part_number)
                joined = self.stats.segment(submit.source, submit.destination, content, submit.data_coding, part)
                segments = submit.part_total
            else:
                joined, segments = content, 1
                self.stats.message(submit.source, submit.destination, content, submit.data_coding)
        else:
            header, body = smstext.split_header(content)
            concat = header.concat
            if concat is None:
                joined, segments = body, 1
                self.stats.message(submit.source, submit.destination, content, submit.data_coding)
            else:
                part = (concat.reference, concat.total, concat.index)
                joined = self.stats.segment(submit.source, submit.destination, body, submit.data_coding, part)
                segments = concat.total
        if joined is not None:
            samples = self.stats.samples
            # A text is decoded when somebody looks, not here: the sample keeps what the wire had.
            samples.append(_Raw(submit, joined, segments, account))

    # Receipts and replies ---------------------------------------------------------------------------------------------

    def _plan_receipts(
        self, connection: Connection, submit: Submit, message_id: str, plan: ReceiptPlan, due: float
    ) -> None:
        stamp = time.strftime("%y%m%d%H%M", time.gmtime(self.wall() + 8 * 3600))
        ids = [self.behaviour.written_id(message_id)] * plan.copies
        if plan.wrong_first:
            ids.insert(0, self.dialect.new_message_id(self._serial + 900_000_000, self.wall()))
        counts = connection.stats.counts
        for written in ids:
            counts["receipts_waiting"] += 1
            report = Report(
                message_id=written,
                state=plan.state,
                final=True,
                stat=plan.stat,
                error=plan.error,
                recipient=submit.destination,
                sender=submit.source,
                submitted=stamp,
                done=stamp,
            )
            self._receipts.put(due, _Receipt(connection.account, id(connection), report))

    def say(self, account: str, sender: str, recipient: str, text: str) -> int:
        """Queue a message from a phone to a port, split when long; returns its segments."""
        parts = smstext.split(text, reference=self._serial & 0xFF)
        codings = self.dialect.codings
        coding = codings.get(parts.coding.value, codings["ucs2"])
        payloads = parts.payloads
        if parts.coding.value not in codings:
            payloads = smstext.split(text, Coding.UCS2, reference=self._serial & 0xFF).payloads
        queue = self._ready.setdefault(account, deque())
        for payload in payloads:
            queue.append(
                Mo(
                    source=sender,
                    destination=recipient,
                    content=payload,
                    data_coding=coding,
                    udhi=len(payloads) > 1,
                    message_id=self.new_message_id(),
                )
            )
        self._serial += 1
        self._send_due(self.clock())
        return len(payloads)

    def tick(self, now: float) -> None:
        """Send what is due, let time-outs pass, cut a session when that is ordered."""
        touched = set()
        for late in self.late.due(now, _DUE_AT_MOST):
            if late.connection.alive and not self.behaviour.faults.silence:
                late.connection.session.answer(late.handle, now, late.status, late.message_id)
                touched.add(late.connection)
        for connection in touched:
            connection.flush()
        self._send_due(now)
        for connection in list(self._connections):
            connection.check_timer(now)
        self._cut_one(now)

    def _send_due(self, now: float) -> None:
        faults = self.behaviour.faults
        if faults.silence:
            return
        for receipt in self._receipts.due(now, _DUE_AT_MOST):
            self._ready.setdefault(receipt.account, deque()).append(receipt.report)
        for account, queue in self._ready.items():
            if queue:
                self._hand_over(account, queue, now)

    def _hand_over(self, account: str, queue: deque[Report | Mo], now: float) -> None:
        sessions = [connection for connection in self.bound.get(account, []) if connection.takes_delivers]
        self._turn += 1
        for offset in range(len(sessions)):
            if not queue:
                return
            connection = sessions[(self._turn + offset) % len(sessions)]
            room = connection.session.window_free
            # Spread over the sessions of the account, as carriers do: a receipt need not come back where its submit went.
            share = (
                -(-len(queue) // (len(sessions) - offset)) if self.behaviour.faults.receipt_elsewhere else len(queue)
            )
            batch = [(connection.next_token(queue[0]), queue.popleft()) for _ in range(min(room, share, len(queue)))]
            if batch:
                connection.deliver(batch, now)

    def _cut_one(self, now: float) -> None:
        pause = self.behaviour.faults.disconnect_every_s
        if not pause:
            self._next_cut = 0.0
            return
        if not self._next_cut:
            self._next_cut = now + pause
        if now >= self._next_cut:
            self._next_cut = now + pause
            sessions = [connection for group in self.bound.values() for connection in group]
            if sessions:
                self._turn += 1
                victim = sessions[self._turn % len(sessions)]
                victim.stats.counts["disconnects"] += 1
                victim.cut()

    def put_back(self, account: str, items: Sequence[Report | Mo]) -> None:
        """Take back what was written to a session that ended without answering: it is sent again."""
        self._ready.setdefault(account, deque()).extendleft(reversed(items))

    def samples(self, limit: int) -> list[Sample]:
        """Return the latest messages as phones show them, newest first."""
        return [_shown(raw, self.dialect) for raw in list(self.stats.samples)[-limit:][::-1]]

    def reset(self) -> None:
        """Set the counters to zero; sessions stay, receipts still owed are forgotten."""
        self.stats.reset()
        self._receipts.clear()
        self._ready.clear()
        for connections in self.bound.values():
            for connection in connections:
                connection.stats = self.stats.account(connection.account)


class _Raw(msgspec.Struct, frozen=True, gc=False):
    submit: Submit
    content: bytes
    segments: int
    account: str


def _shown(raw: _Raw, dialect: Dialect) -> Sample:
    names = {number: name for name, number in reversed(list(dialect.codings.items()))}
    coding = Coding(names.get(raw.submit.data_coding, "octets"))
    text = raw.content.hex() if coding is Coding.OCTETS else smstext.decode(raw.content, coding, lenient=True)
    return Sample(raw.submit.source, raw.submit.destination, text, raw.segments, raw.account)


class Connection(asyncio.Protocol):
    """One client's connection: octets in and out, the engine in between."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._transport: asyncio.Transport | None = None
        self._token = 0
        self._written: dict[int, Report | Mo] = {}
        self._accepted: deque[float] = deque()
        self._takes_delivers = False
        self.account = ""
        self.stats = AccountStats()
        self.alive = True
        now = gateway.clock()
        limits = gateway.dialect.limits
        # A carrier does not cut a client off for a large window: that is what the `window` fault is for.
        generous = Limits(
            window=200, peer_window=100_000, response=30.0, keepalive_idle=limits.keepalive_idle, bind=limits.bind
        )
        config = SessionConfig(limits=generous)
        self.session = Session(gateway.dialect, Role.SERVER, config, now, wall=gateway.wall())

    @property
    def takes_delivers(self) -> bool:
        """Whether receipts and replies may be written here."""
        return self.alive and self._takes_delivers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._gateway.opened(self)

    def data_received(self, data: bytes) -> None:
        if self._gateway.behaviour.faults.silence:
            # The octets are read and nothing comes of them, so that the sender sees an open connection and no answers.
            self._count_ignored(data)
            return
        now = self._gateway.clock()
        self._react(self.session.receive_data(data, now), now)
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        now = self._gateway.clock()
        self._react(self.session.receive_eof(now), now)
        self._gateway.gone(self)
        if self._written:
            self._gateway.put_back(self.account, list(self._written.values()))
            self._written.clear()

    def accepted_rate(self, now: float) -> int:
        """Submits accepted over the whole account in the last second, when a rate limit is set."""
        if not self._gateway.behaviour.faults.rate_limit:
            return 0
        total = 0
        for connection in self._gateway.bound.get(self.account, []):
            times = connection._accepted
            while times and times[0] <= now - 1.0:
                times.popleft()
            total += len(times)
        return total

    def accepted(self, now: float) -> None:
        """Remember one accepted submit for the rate limit."""
        if self._gateway.behaviour.faults.rate_limit:
            self._accepted.append(now)

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
        """Write what the engine has to say."""
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
                self._delivered(event, now)
            elif isinstance(event, events.BindRequested):
                self._bind(event, now)
            elif isinstance(event, events.RequestReceived):
                self.session.answer(event.handle, now, gateway.dialect.wrong_state)
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

    def _delivered(self, answer: events.Answered, now: float) -> None:
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
