"""The session engine: windows, time-outs, keep-alive, login and log-out for every dialect and both roles.

Feed it octets and times, collect events and octets. Peer data never raises; a caller's fault raises ``UsageError``
and changes nothing. The engine does not correlate reports, does not keep messages, does not reconnect: it lives
exactly as long as one connection. Reports and messages are only answered when the caller says so, because they must
be durable first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from carrier.dialect import Credentials, Dialect, Kind, Limits
from carrier.errors import CarrierError, NotBoundError, RejectedItemError, UsageError, WindowFullError
from carrier.events import Bound, CloseReason, Event, Resent
from carrier.inbox import Inbox
from carrier.keepalive import Due, Keepalive
from carrier.model import Mo, Outcome, Refusal, Report, Role, Submit
from carrier.receiving import Pending, Receiver
from carrier.states import State

Item = TypeVar("Item")


@dataclass(frozen=True)
class SessionConfig:
    """``credentials`` are the client's own; a server leaves them empty.

    ``limits`` None means the dialect's published ones. ``sequence`` is the counter's start; ``sequences`` is the part
    of the counter's space that is this session's own (both ends included), for owners of several sessions whose
    sequences must differ because the protocol takes them for message ids (``Dialect.sequence_is_id``).
    """

    credentials: Credentials = field(default_factory=lambda: Credentials("", ""))
    limits: Limits | None = None
    sequence: int | None = None
    sequences: tuple[int, int] | None = None


class Session(Receiver):
    """One connection's protocol state.

    ``now`` is monotonic seconds, everywhere; ``wall`` is epoch seconds at the same moment (logins carry a time of day).
    """

    def __init__(self, dialect: Dialect, role: Role, config: SessionConfig, now: float, *, wall: float) -> None:
        self.limits = config.limits or dialect.limits
        if not dialect.has_keepalive:
            self.limits = replace(self.limits, keepalive_idle=0.0)
        super().__init__(
            dialect.for_account(config.credentials.account),
            role,
            Inbox(self.limits.peer_window, remembers=dialect.remembers_answers),
            Keepalive(self.limits, now),
        )
        self._credentials = config.credentials
        self._bind_account = config.credentials.account
        self._bind_mode = config.credentials.mode
        self._bind_secret = config.credentials.secret
        self._wall_offset = wall - now
        self._first, self._last = config.sequences or (dialect.first_sequence, dialect.last_sequence)
        self._counter = (self._first if config.sequence is None else config.sequence) - 1
        if role is Role.SERVER:
            self._phase_deadline = now + self.limits.bind

    # What the caller may ask ------------------------------------------------------------------------------------------

    @property
    def window_free(self) -> int:
        """How many more requests may be handed over now; 0 when not bound."""
        if self.state is not State.BOUND:
            return 0
        return max(0, self.limits.window - len(self._in_flight))

    @property
    def counter(self) -> int:
        """The last number of the sequence counter that was used: where the owner's next session goes on from."""
        return self._counter

    @property
    def in_flight(self) -> list[int]:
        """Tokens written and not answered, oldest first."""
        return [pending.token for pending in self._in_flight.values()]

    @property
    def unanswered(self) -> int:
        """Requests of the peer the caller has not answered yet."""
        return len(self._inbox)

    def bytes_to_send(self) -> bytes:
        """Everything to write since the last call, in order; also after ``Closed``, before closing the connection."""
        out = self._out
        if not out:
            return b""
        joined = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return joined

    # Login ------------------------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Client: send the bind; the connection is up. Raises ``UsageError`` for a server or when already started."""
        if self.role is not Role.CLIENT or self.state is not State.OPEN:
            raise UsageError("only a client that has not started can start")
        try:
            self._bind_frame = self.dialect.bind(self._credentials, self._next_sequence(now), self._wall(now))
        except CarrierError as error:
            raise UsageError(f"the credentials cannot be written: {error}") from error
        self._out.append(self._bind_frame)
        self._enter(State.BINDING)
        self._phase_deadline = now + self.limits.response

    def invite(self, fields: Mapping[str, object]) -> None:
        """Server: ask the client to bind (SMPP outbind), fields under the standard's names, sequence included."""
        if self.role is not Role.SERVER or self.state is not State.OPEN:
            raise UsageError("only a server that waits for a bind can invite")
        self._out.append(self.dialect.encode(fields))

    def check_bind(self, secret: str, now: float) -> Refusal | None:
        """Server: does the waiting bind prove ``secret``? ``answer_bind`` then uses the secret for the server's own
        proof.
        """
        if self._bind_request is None:
            raise UsageError("no bind is waiting")
        self._bind_secret = secret
        return self.dialect.check_bind(self._bind_request, secret, self._wall(now))

    def answer_bind(self, refusal: Refusal | int | None, now: float) -> list[Event]:
        """Server: accept the waiting bind (None), or refuse it with a reason or the dialect's own status."""
        request = self._bind_request
        if request is None or self.state is not State.BINDING:
            raise UsageError("no bind is waiting")
        self._bind_request = None
        status = self.dialect.refusals[refusal] if isinstance(refusal, Refusal) else (refusal or 0)
        self._out.append(self.dialect.bind_answer(request, status, self._bind_secret))
        self._bind_secret = ""
        if status:
            return [self._close(CloseReason.BIND_REFUSED, self.dialect.status_name(status), now)]
        self._become_bound(request.mode, now)
        return [Bound(request.account, request.mode, request.version, None, now)]

    # Sending ----------------------------------------------------------------------------------------------------------

    def submit(self, batch: Sequence[tuple[int, Submit]], now: float) -> None:
        """Write submits. Raises ``NotBoundError``, ``WindowFullError`` or ``RejectedItemError``: then nothing was
        taken.
        """
        self._send(Kind.SUBMIT, batch, self.dialect.submit, now)

    def deliver(self, batch: Sequence[tuple[int, Report | Mo]], now: float) -> None:
        """The carrier's side: write reports and messages from phones. Raises as ``submit``."""
        self._send(Kind.DELIVER, batch, self.dialect.deliver, now)

    def request(self, token: int, fields: Mapping[str, object], now: float) -> None:
        """Write any other request (query, cancel...), fields under the standard's names; its answer is a
        ``Replied``.
        """

        def write(item: Mapping[str, object], sequence: int) -> bytes:
            return self.dialect.encode(self.dialect.with_sequence(item, sequence))

        self._send(Kind.REQUEST, [(token, fields)], write, now)

    def _send(
        self, kind: Kind, batch: Sequence[tuple[int, Item]], write: Callable[[Item, int], bytes], now: float
    ) -> None:
        if self.state is not State.BOUND or (kind is not Kind.REQUEST and kind not in self._rights.send):
            raise NotBoundError(f"the session is {self.state.name.lower()} or may not send this")
        in_flight = self._in_flight
        if len(batch) > self.limits.window - len(in_flight):
            raise WindowFullError(f"{len(batch)} requests for {self.window_free} places")
        counter, first, last = self._counter, self._first, self._last
        base = self.dialect.sequence_base(self._wall(now))
        deadline = now + self.limits.response
        frames: list[bytes] = []
        taken: dict[int, Pending] = {}
        for token, item in batch:
            counter = counter + 1 if counter < last else first
            while base + counter in in_flight:
                counter = counter + 1 if counter < last else first
            try:
                frame = write(item, base + counter)
            except CarrierError as error:
                raise RejectedItemError(token, str(error)) from error
            frames.append(frame)
            taken[base + counter] = Pending(token, deadline, frame, 1, kind)
        self._counter = counter
        in_flight.update(taken)
        self._out += frames
        self._keepalive.sent(now)

    # Answering --------------------------------------------------------------------------------------------------------

    def answer(self, handle: int, status: int | Outcome = 0, message_id: str = "") -> bool:
        """Answer a report, message or submit; a dialect's status or an outcome. False when it no longer waits
        (session over).
        """
        return self.answer_many([(handle, status, message_id)]) == 1

    def acknowledge(self, handles: Iterable[int]) -> int:
        """Positive answers to many reports or messages at once; returns how many still waited for one."""
        return self.answer_many([(handle, 0, "") for handle in handles])

    def answer_many(self, answers: Iterable[tuple[int, int | Outcome, str]]) -> int:
        """As ``answer`` for (handle, status, message id); returns how many still waited for one.

        Raises ``UsageError`` for an id that the dialect cannot write; the answers before it are given.
        """
        if self.state is State.CLOSED:
            return 0
        inbox, out, write, given = self._inbox, self._out, self.dialect.answer, 0
        for handle, status, message_id in answers:
            request = inbox.take(handle)
            if request is None:
                continue
            sequence, frame = request
            number = self._status(frame, status) if isinstance(status, Outcome) else status
            try:
                octets = write(frame, number, message_id)
            except CarrierError as error:
                inbox.put_back(handle, request)
                raise UsageError(str(error)) from error
            if not number:
                # What was refused was not taken: sent again under its old sequence (SMSGate does so when throttled) it
                # is a new request, and the old refusal repeated would refuse it for ever.
                inbox.remember(sequence, frame, octets)
            out.append(octets)
            given += 1
        return given

    def answer_request(self, handle: int, fields: Mapping[str, object]) -> bool:
        """Answer any other request with the fields of its answer, under the standard's names; False when it no longer
        waits.
        """
        request = None if self.state is State.CLOSED else self._inbox.take(handle)
        if request is None:
            return False
        sequence, frame = request
        try:
            octets = self.dialect.encode(self.dialect.with_sequence(fields, sequence))
        except CarrierError as error:
            self._inbox.put_back(handle, request)
            raise UsageError(str(error)) from error
        self._inbox.remember(sequence, frame, octets)
        self._out.append(octets)
        return True

    def _status(self, frame: bytes, outcome: Outcome) -> int:
        _, command, _ = self.dialect.read_header(frame, 0)
        is_deliver = self._kinds[command] is Kind.DELIVER
        return (self.dialect.deliver_statuses if is_deliver else self.dialect.submit_statuses)[outcome]

    # Ending -----------------------------------------------------------------------------------------------------------

    def unbind(self, now: float) -> list[Event]:
        """End gracefully: nothing new is sent; answers are awaited both ways for at most ``limits.drain``, then
        unbind.
        """
        if self.state in (State.OPEN, State.BINDING):
            return [self._close(CloseReason.ABORTED, "given up before it was bound", now)]
        if self.state is State.BOUND:
            self._enter(State.DRAINING)
            self._phase_deadline = now + self.limits.drain
            self._drain(now)
        return []

    def abort(self, detail: str, now: float) -> list[Event]:
        """End at once without a word: what is not yet fetched by ``bytes_to_send`` is not sent any more.

        For an owner that has lost the right to write (its lease). ``detail`` says why; the caller closes the connection.
        """
        self._out.clear()
        return [] if self.state is State.CLOSED else [self._close(CloseReason.ABORTED, detail, now)]

    def _drain(self, now: float) -> None:
        if not self._in_flight and not len(self._inbox):
            self._send_unbind(now)

    def _send_unbind(self, now: float) -> None:
        self._out.append(self.dialect.unbind(self._next_sequence(now)))
        self._enter(State.UNBINDING)
        self._phase_deadline = now + self.limits.response

    # Time -------------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """When ``handle_timer`` has something to do; None when never. Ask again after every other call."""
        if self.state is State.CLOSED:
            return None
        if self.state is State.DRAINING and not self._in_flight and not len(self._inbox):
            return 0.0  # the caller's last answer ended the drain: at once
        times = [] if self._phase_deadline is None else [self._phase_deadline]
        if self._in_flight:
            times.append(next(iter(self._in_flight.values())).deadline)
        if self.state is State.BOUND:
            keepalive = self._keepalive.deadline()
            if keepalive is not None:
                times.append(keepalive)
        return min(times, default=None)

    def handle_timer(self, now: float) -> list[Event]:
        """Do what is due at ``now``; calling it early or late is harmless."""
        events: list[Event] = []
        if self.state is State.CLOSED:
            return events
        if self._phase_deadline is not None and now >= self._phase_deadline:
            self._phase_over(events, now)
        if self.closed is None:
            self._expire_requests(events, now)
        if self.closed is None and self.state is State.DRAINING:
            self._drain(now)
        if self.closed is None and self.state is State.BOUND:
            self._keep_alive(events, now)
        return events

    def _phase_over(self, events: list[Event], now: float) -> None:
        if self.state is State.DRAINING:
            self._send_unbind(now)
        elif self.state is State.UNBINDING:
            events.append(self._close(CloseReason.UNBIND_TIMEOUT, "", now))
        else:
            events.append(self._close(CloseReason.BIND_TIMEOUT, "", now))

    def _expire_requests(self, events: list[Event], now: float) -> None:
        """Oldest first: every request waits equally long, and one sent again moves to the end."""
        late: list[tuple[int, Pending]] = []
        for sequence, pending in self._in_flight.items():
            if pending.deadline > now:
                break
            late.append((sequence, pending))
        if not late:
            return
        if any(pending.attempts >= self.limits.attempts for _, pending in late):
            events.append(self._close(CloseReason.RESPONSE_TIMEOUT, f"{len(late)} requests without an answer", now))
            return
        for sequence, old in late:
            del self._in_flight[sequence]
            again = Pending(old.token, now + self.limits.response, old.frame, old.attempts + 1, old.kind)
            self._in_flight[sequence] = again
            self._out.append(old.frame)
        events.append(Resent(tuple(pending.token for _, pending in late), now))

    def _keep_alive(self, events: list[Event], now: float) -> None:
        due = self._keepalive.due(now)
        if due is Due.ASK:
            self._out.append(self.dialect.keepalive(self._next_sequence(now)))
        elif due is Due.DEAD:
            events.append(self._close(CloseReason.KEEPALIVE_TIMEOUT, "", now))
        elif due is Due.IDLE and self.role is Role.CLIENT:
            events += self.unbind(now)
        elif due is Due.IDLE:
            events.append(self._close(CloseReason.IDLE, "", now))

    def _wall(self, now: float) -> float:
        return now + self._wall_offset

    def _next_sequence(self, now: float) -> int:
        base = self.dialect.sequence_base(self._wall(now))
        self._counter = self._counter + 1 if self._counter < self._last else self._first
        while base + self._counter in self._in_flight:
            self._counter = self._counter + 1 if self._counter < self._last else self._first
        return base + self._counter
