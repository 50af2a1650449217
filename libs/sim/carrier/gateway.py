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
import structlog

import smstext
from carrier import events
from carrier.dialect import Dialect, Kind
from carrier.model import BindMode, Mo, Outcome, Refusal, Report, Role, Submit
from carrier.timetext import compact
from sim.carrier.behaviour import Behaviour, Fate, ReceiptPlan
from sim.carrier.connection import Connection
from sim.carrier.faults import Faults
from sim.carrier.schedule import Schedule
from sim.carrier.stats import Received, Stats
from smstext import Coding

log = structlog.get_logger()

_TICK_S = 0.004
"""Least time between two looks at what is due: receipts and late answers leave in batches."""

_DUE_AT_MOST = 2_000
"""Most receipts of one tick, so that reading submits is never kept waiting."""


class Account(msgspec.Struct, frozen=True):
    """Who may bind: the protocol's own account name, its secret, and the sessions agreed.

    ``listener`` (``host:port``) is where the provider waits for receipts and replies, in protocols in which the carrier
    calls; the carrier binds there as ``listener_account`` (the same account when empty) with ``listener_secret``.
    """

    account: str
    secret: str
    sessions: int = 1
    listener: str = ""
    listener_account: str = ""
    listener_secret: str = ""


class _Receipt(msgspec.Struct, gc=False):
    account: str
    report: Report


class _Late(msgspec.Struct, gc=False):
    """An answer that waits for its latency."""

    connection: Connection
    handle: int
    status: int | Outcome
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
        self.since_ms = int(wall() * 1000)
        """Unix ms since which is counted."""
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
        self._callers: dict[str, Connection] = {}
        self._call_again: dict[str, float] = {}
        self._calls: set[asyncio.Task[None]] = set()
        calls = Kind.DELIVER in dialect.rights(Role.CLIENT, BindMode.RECEIVER).send
        for account in accounts:
            if account.listener and not calls:
                raise ValueError(f"account {account.account}: in {dialect.name} the carrier calls no listener")
            if account.listener and not account.listener.rpartition(":")[2].isdecimal():
                raise ValueError(f"account {account.account}: listener is not host:port")

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
        for call in list(self._calls):
            call.cancel()
        for connection in list(self._connections):
            connection.cut()

    def new_message_id(self, request: bytes = b"") -> str:
        """Return the next carrier id, in the dialect's notation; `request` is the submit it is for."""
        self._serial += 1
        return self.dialect.message_id(self._serial, self.wall(), request)

    # Sessions ---------------------------------------------------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        """A TCP connection came."""
        self._connections.add(connection)

    def gone(self, connection: Connection) -> None:
        """A TCP connection ended; its session, if it was bound, with it."""
        self._connections.discard(connection)
        if connection.caller is not None:
            self._hung_up(connection)
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
                refusal = self._one_too_many(request.account)
        counts["binds_accepted" if refusal is None else "binds_refused"] += 1
        if refusal is None:
            self.bound.setdefault(request.account, []).append(connection)
            self.stats.account(request.account).session_opened()
        return refusal

    def _one_too_many(self, account: str) -> Refusal | None:
        counts = self.stats.account(account).counts
        counts["over_sessions"] += 1
        if not self.behaviour.faults.newest_wins:
            return Refusal.LIMIT
        oldest = self.bound[account][0]
        counts["replaced"] += 1
        oldest.cut()
        self.gone(oldest)
        return None

    # Calls ------------------------------------------------------------------------------------------------------------

    def called(self, connection: Connection) -> None:
        """A provider's listener let us in."""
        connection.stats.counts["calls"] += 1
        self._send_due(self.clock())

    def _hung_up(self, connection: Connection) -> None:
        if self._callers.get(connection.account) is connection:
            del self._callers[connection.account]
        if not connection.takes_delivers:
            connection.stats.counts["calls_failed"] += 0 if connection.was_bound else 1
        self._call_again[connection.account] = self.clock() + self.behaviour.faults.listener_pause_ms / 1000

    def _call_listeners(self, now: float) -> None:
        """Call whoever has something waiting and no session of ours: an SGIP gateway calls when it has to (3.1)."""
        for account in self.accounts.values():
            name = account.account
            if account.listener and self._ready.get(name) and name not in self._callers:
                if now < self._call_again.get(name, 0.0):
                    continue
                self._callers[name] = Connection(self, account)
                call = asyncio.get_running_loop().create_task(self._call(account, self._callers[name]))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)

    async def _call(self, account: Account, connection: Connection) -> None:
        host, _, port = account.listener.rpartition(":")
        try:
            await asyncio.get_running_loop().create_connection(lambda: connection, host, int(port))
        except OSError as error:
            log.warning("listener_unreachable", account=account.account, reason=type(error).__name__)
            connection.stats.counts["calls_failed"] += 1
            self._hung_up(connection)

    # Submits ----------------------------------------------------------------------------------------------------------

    def take(self, connection: Connection, received: events.SubmitReceived, now: float) -> None:
        """Decide one submit, answer it now or later, and plan its receipts."""
        stats, behaviour = connection.stats, self.behaviour
        counts, submit = stats.counts, received.submit
        counts["submits"] += 1
        stats.submit_rate.add(now)
        if self.stats.watched and submit.source == self.stats.watched:
            self.stats.arrived(submit.destination, self.wall())
        if not behaviour.takes_all and not self._lets_in(connection, received.handle, now):
            return
        counts["accepted"] += 1
        message_id = self.new_message_id(received.frame)
        self._count_content(connection.account, submit)
        plan = behaviour.receipt(submit.destination) if submit.wants_report else None
        early = plan is not None and plan.delay_s < 0
        if plan is not None and early:
            self._plan_receipts(connection, submit, message_id, plan, now - 1.0)
            self._send_due(now)
        latency = behaviour.latency_s()
        if behaviour.response_lost():
            counts["unanswered"] += 1
            connection.lost += 1
        elif latency:
            self.late.put(now + latency, _Late(connection, received.handle, 0, message_id))
        else:
            connection.answers.append((received.handle, 0, message_id))
        if plan is not None and not early:
            self._plan_receipts(connection, submit, message_id, plan, now + latency + plan.delay_s)

    def _lets_in(self, connection: Connection, handle: int, now: float) -> bool:
        """Whether a submit is accepted; one that is not is counted, and answered unless it is ignored."""
        stats, faults = connection.stats, self.behaviour.faults
        in_last_second = stats.accept_rate.within_last_second(now) if faults.rate_limit else 0
        fate = self.behaviour.fate(in_last_second, connection.waiting)
        if fate is Fate.IGNORE:
            stats.counts["unanswered"] += 1
        elif fate is not Fate.ACCEPT:
            self._reject(connection, handle, fate, now)
        elif faults.rate_limit:
            stats.accept_rate.add(now)
        return fate is Fate.ACCEPT

    def _reject(self, connection: Connection, handle: int, fate: Fate, now: float) -> None:
        counts, faults = connection.stats.counts, self.behaviour.faults
        counts["rejected"] += 1
        if fate is Fate.THROTTLE:
            counts["throttled"] += 1
            if faults.window and connection.waiting > faults.window:
                counts["over_window"] += 1
        outcome = Outcome.THROTTLED if fate is Fate.THROTTLE else Outcome.PERMANENT
        latency = self.behaviour.latency_s()
        if latency:
            self.late.put(now + latency, _Late(connection, handle, outcome, ""))
        else:
            connection.answers.append((handle, outcome, ""))

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
            sample = Received(submit.source, submit.destination, joined, submit.data_coding, segments, account)
            self.stats.samples.append(sample)

    # Receipts and replies ---------------------------------------------------------------------------------------------

    def _plan_receipts(
        self, connection: Connection, submit: Submit, message_id: str, plan: ReceiptPlan, due: float
    ) -> None:
        stamp = compact(self.wall())
        counts = connection.stats.counts
        for place, recipient in enumerate((submit.destination, *submit.more_destinations)):
            own_id = self.dialect.group_id(message_id, place)
            ids = [self.behaviour.written_id(own_id)] * plan.copies
            if plan.wrong_first:
                ids.insert(0, _strange(own_id))
            counts["receipts_waiting"] += len(ids)
            for written in ids:
                report = Report(
                    written, plan.state, True, plan.stat, plan.error, recipient, submit.source, stamp, stamp
                )
                self._receipts.put(due, _Receipt(connection.account, report))

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
                late.connection.answers.append((late.handle, late.status, late.message_id))
                touched.add(late.connection)
        for connection in touched:
            connection.flush()
        self._send_due(now)
        self._call_listeners(now)
        for connection in list(self._connections):
            connection.check_timer(now)
        self._cut_one(now)

    def _send_due(self, now: float) -> None:
        faults = self.behaviour.faults
        if faults.silence:
            return
        for receipt in self._receipts.due(now, _DUE_AT_MOST):
            ready = self._ready.get(receipt.account)
            if ready is None:
                ready = self._ready[receipt.account] = deque()
            ready.append(receipt.report)
        for account, queue in self._ready.items():
            if queue:
                self._hand_over(account, queue, now)

    def _hand_over(self, account: str, queue: deque[Report | Mo], now: float) -> None:
        sessions = [connection for connection in self.bound.get(account, []) if connection.takes_delivers]
        self._turn += 1
        caller = self._callers.get(account)
        if caller is not None and caller.takes_delivers:
            sessions.append(caller)
        for offset in range(len(sessions)):
            if not queue:
                return
            connection = sessions[(self._turn + offset) % len(sessions)]
            room = connection.session.window_free
            # Spread over the account's sessions, as carriers do: a receipt need not come back where its submit went.
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
        self.since_ms = int(self.wall() * 1000)
        self._receipts.clear()
        self._ready.clear()
        for connections in self.bound.values():
            for connection in connections:
                connection.stats = self.stats.account(connection.account)


class Sample(msgspec.Struct, frozen=True):
    """One message as the phone shows it."""

    sender: str
    recipient: str
    text: str
    segments: int
    account: str


def _strange(message_id: str) -> str:
    """Return an id of the same notation that nobody was given."""
    return f"{int(message_id, 16) ^ 0x70000000:0{len(message_id)}x}"


def _shown(received: Received, dialect: Dialect) -> Sample:
    names = {number: name for name, number in reversed(list(dialect.codings.items()))}
    coding = Coding(names.get(received.data_coding, "octets"))
    text = received.content.hex() if coding is Coding.OCTETS else smstext.decode(received.content, coding, lenient=True)
    return Sample(received.sender, received.recipient, text, received.segments, received.account)
