"""The receiving half of a session: every frame of the peer becomes an event, an answer, or a named error, never an
exception.

One handler per kind of PDU; which kinds are legal in which state is the table in ``carrier.states``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import msgspec

from carrier.dialect import ANSWER, BindRequest, Dialect, Kind, Rights
from carrier.errors import CarrierError
from carrier.events import (
    Answered,
    BindInvited,
    BindRefused,
    BindRequested,
    Bound,
    Closed,
    CloseReason,
    DeliverReceived,
    Event,
    NoticeReceived,
    PeerError,
    Replied,
    ReportReceived,
    RequestReceived,
    SubmitReceived,
    Unbound,
)
from carrier.framing import FrameBuffer
from carrier.inbox import Arrival, Inbox
from carrier.keepalive import Keepalive
from carrier.model import BindMode, Outcome, Report, Role
from carrier.states import LEGAL, State

_NOTHING: frozenset[Kind] = frozenset()
_WANTS_ANSWER = frozenset({Kind.BIND, Kind.SUBMIT, Kind.DELIVER, Kind.REQUEST})
_ANSWER_TO = {
    Kind.SUBMIT_ANSWER: Kind.SUBMIT,
    Kind.DELIVER_ANSWER: Kind.DELIVER,
    Kind.REQUEST_ANSWER: Kind.REQUEST,
}
_Handler = Callable[[bytes, int, int, list[Event], float], None]


class Pending(msgspec.Struct, frozen=True, gc=False):
    """One request of ours without an answer."""

    token: int
    deadline: float
    frame: bytes
    attempts: int
    kind: Kind


class Receiver(ABC):
    """State of one session and everything that happens when octets arrive."""

    def __init__(self, dialect: Dialect, role: Role, inbox: Inbox, keepalive: Keepalive) -> None:
        self.dialect = dialect
        self.role = role
        self.state = State.OPEN
        self._legal = LEGAL[role, State.OPEN]
        self.closed: Closed | None = None
        self._inbox = inbox
        self._keepalive = keepalive
        self._frames = FrameBuffer(dialect)
        self._kinds = dialect.kinds(role)
        self._rights = Rights(_NOTHING, _NOTHING)
        self._out: list[bytes] = []
        self._in_flight: dict[int, Pending] = {}
        self._bind_frame = b""
        self._bind_request: BindRequest | None = None
        self._bind_secret = ""
        self._bind_account = ""
        self._bind_mode = BindMode.TRANSCEIVER
        self._phase_deadline: float | None = None
        self._handlers: dict[Kind, _Handler] = {
            Kind.SUBMIT_ANSWER: self._on_answer,
            Kind.DELIVER_ANSWER: self._on_answer,
            Kind.REQUEST_ANSWER: self._on_answer,
            Kind.SUBMIT: self._on_message,
            Kind.DELIVER: self._on_message,
            Kind.REQUEST: self._on_message,
            Kind.NOTICE: self._on_notice,
            Kind.KEEPALIVE: self._on_keepalive,
            Kind.KEEPALIVE_ANSWER: self._on_keepalive_answer,
            Kind.BIND: self._on_bind,
            Kind.BIND_ANSWER: self._on_bind_answer,
            Kind.INVITATION: self._on_invitation,
            Kind.UNBIND: self._on_unbind,
            Kind.UNBIND_ANSWER: self._on_unbind_answer,
            Kind.NACK: self._on_nack,
        }

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Whatever the peer sent. Never raises on it; after ``Closed`` everything is ignored."""
        events: list[Event] = []
        if self.state is State.CLOSED or not data:
            return events
        frames = self._frames.feed(data)
        if frames:
            self._keepalive.heard(now)
        for command, sequence, frame in frames:
            self._receive_frame(frame, command, sequence, events, now)
            if self.closed is not None:
                return events
        if self._frames.fault:
            self._out.append(self.dialect.nack(0, self.dialect.bad_length))
            events.append(self._close(CloseReason.FRAMING, self._frames.fault, now))
        elif self.state is State.DRAINING:
            self._drain(now)
        return events

    def receive_eof(self, now: float) -> list[Event]:
        """The peer closed the connection."""
        return [] if self.state is State.CLOSED else [self._close(CloseReason.EOF, "", now)]

    # One frame --------------------------------------------------------------------------------------------------------

    def _receive_frame(self, frame: bytes, command: int, sequence: int, events: list[Event], now: float) -> None:
        kind = self._kinds.get(command)
        if kind is None:
            if not command & ANSWER:
                self._out.append(self.dialect.nack(sequence, self.dialect.unknown_command))
            events.append(PeerError("unknown_command", f"command 0x{command:08x}", now))
            return
        if kind not in self._legal:
            repeated = kind is Kind.BIND and self.state is not State.OPEN
            self._refuse(kind, command, sequence, self.dialect.already_bound if repeated else self.dialect.wrong_state)
            events.append(PeerError("wrong_state", f"{kind.name.lower()} while {self.state.name.lower()}", now))
            return
        try:
            self._handlers[kind](frame, command, sequence, events, now)
        except CarrierError as error:
            self._refuse(kind, command, sequence, self.dialect.malformed)
            events.append(PeerError("malformed", f"{kind.name.lower()}: {error}", now))
            if self.dialect.closes_on_malformed:
                events.append(self._close(CloseReason.PROTOCOL, "malformed PDU", now))

    def _refuse(self, kind: Kind, command: int, sequence: int, status: int) -> None:
        if kind in _WANTS_ANSWER:
            self._out.append(self.dialect.refuse(command, sequence, status))

    # Answers to us ----------------------------------------------------------------------------------------------------

    def _on_answer(self, frame: bytes, command: int, sequence: int, events: list[Event], now: float) -> None:
        pending = self._in_flight.get(sequence)
        if pending is None:
            events.append(PeerError("unknown_sequence", "an answer to nothing that waits", now))
            return
        if pending.kind is Kind.REQUEST:
            fields = self.dialect.decode(frame)
            outcome = self.dialect.outcome(self.dialect.status_of(fields))
            del self._in_flight[sequence]
            events.append(Replied(pending.token, outcome, fields, now))
            return
        if pending.kind is not _ANSWER_TO[self._kinds[command]]:
            events.append(PeerError("mismatched_answer", "the answer is of another command than the request", now))
            return
        status, message_id = self.dialect.read_answer(frame)
        del self._in_flight[sequence]
        events.append(self._answered(pending, status, message_id, now))

    def _answered(self, pending: Pending, status: int, message_id: str, now: float) -> Answered:
        if status == 0:
            outcome = Outcome.OK
        elif status == self.dialect.duplicate and pending.attempts > 1:
            outcome = Outcome.UNCERTAIN
        else:
            outcome = self.dialect.outcome(status)
        return Answered(pending.token, status, outcome, message_id, pending.attempts, now)

    def _on_nack(self, frame: bytes, command: int, sequence: int, events: list[Event], now: float) -> None:
        status = self.dialect.read_nack(frame)
        pending = self._in_flight.pop(sequence, None)
        if pending is not None:
            events.append(self._answered(pending, status, "", now))
        elif self.state is State.BINDING and self.role is Role.CLIENT:
            self._bind_refused(status, events, now)
        else:
            events.append(PeerError("nack", self.dialect.status_name(status), now))

    # Requests of the peer ---------------------------------------------------------------------------------------------

    def _on_message(self, frame: bytes, command: int, sequence: int, events: list[Event], now: float) -> None:
        kind = self._kinds[command]
        if kind is not Kind.REQUEST and kind not in self._rights.take:
            self._refuse(kind, command, sequence, self.dialect.wrong_state)
            events.append(PeerError("wrong_mode", f"{kind.name.lower()} on a session that may not carry it", now))
            return
        arrival = self._inbox.judge(sequence, frame)
        if arrival is not Arrival.NEW:
            self._not_new(arrival, kind, command, sequence, events, now)
            return
        self._keepalive.sent(now)
        if kind is Kind.SUBMIT:
            submit = self.dialect.read_submit(frame)
            events.append(SubmitReceived(self._inbox.add(sequence, frame), submit, frame))
        elif kind is Kind.DELIVER:
            item = self.dialect.read_deliver(frame)
            handle = self._inbox.add(sequence, frame)
            events.append(ReportReceived(handle, item) if isinstance(item, Report) else DeliverReceived(handle, item))
        else:
            fields = self.dialect.decode(frame)
            events.append(RequestReceived(self._inbox.add(sequence, frame), str(fields["command"]), fields))

    def _not_new(
        self, arrival: Arrival, kind: Kind, command: int, sequence: int, events: list[Event], now: float
    ) -> None:
        if arrival is Arrival.ANSWERED:
            self._out.append(self._inbox.answer_given(sequence))
        elif arrival is Arrival.FULL:
            table = self.dialect.deliver_statuses if kind is Kind.DELIVER else self.dialect.submit_statuses
            self._refuse(kind, command, sequence, table[Outcome.THROTTLED])
        elif arrival is Arrival.CONFLICT:
            self._refuse(kind, command, sequence, self.dialect.duplicate)
        events.append(PeerError(_ARRIVALS[arrival], f"{kind.name.lower()} not taken", now))

    def _on_notice(self, frame: bytes, command: int, sequence: int, events: list[Event], now: float) -> None:
        fields = self.dialect.decode(frame)
        events.append(NoticeReceived(str(fields["command"]), fields))

    # Keep-alive -------------------------------------------------------------------------------------------------------

    def _on_keepalive(self, frame: bytes, command: int, sequence: int, events: list[Event], now: float) -> None:
        self._out.append(self.dialect.plain_answer(command, sequence))

    def _on_keepalive_answer(self, frame: bytes, command: int, sequence: int, events: list[Event], now: float) -> None:
        """Having been heard is all that counts, and that was noted with the frame."""
        return

    # Login and log-out ------------------------------------------------------------------------------------------------

    def _on_bind(self, frame: bytes, command: int, sequence: int, events: list[Event], now: float) -> None:
        request = self.dialect.read_bind(frame)
        self._bind_request = request
        self._use(self.dialect.negotiated(self.role, request.version))
        self._enter(State.BINDING)
        events.append(BindRequested(request.account, request.mode, request.version, now))

    def _on_bind_answer(self, frame: bytes, command: int, sequence: int, events: list[Event], now: float) -> None:
        answer = self.dialect.read_bind_answer(frame)
        if answer.status:
            self._bind_refused(answer.status, events, now)
            return
        trusted = self.dialect.trusts(answer, self._bind_frame, self._bind_secret)
        self._use(self.dialect.negotiated(self.role, answer.version))
        self._become_bound(self._bind_mode, now)
        events.append(Bound(self._bind_account, self._bind_mode, answer.version, trusted, now))

    def _bind_refused(self, status: int, events: list[Event], now: float) -> None:
        events.append(BindRefused(status, self.dialect.refusal(status), now))
        events.append(self._close(CloseReason.BIND_REFUSED, self.dialect.status_name(status), now))

    def _on_invitation(self, frame: bytes, command: int, sequence: int, events: list[Event], now: float) -> None:
        events.append(BindInvited(*self.dialect.read_invitation(frame)))

    def _on_unbind(self, frame: bytes, command: int, sequence: int, events: list[Event], now: float) -> None:
        self._out.append(self.dialect.plain_answer(command, sequence))
        events.append(Unbound(now))
        events.append(self._close(CloseReason.PEER_UNBOUND, "", now))

    def _on_unbind_answer(self, frame: bytes, command: int, sequence: int, events: list[Event], now: float) -> None:
        events.append(self._close(CloseReason.UNBOUND, "", now))

    # Shared steps -----------------------------------------------------------------------------------------------------

    def _enter(self, state: State) -> None:
        self.state = state
        self._legal = LEGAL[self.role, state]

    def _use(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._kinds = dialect.kinds(self.role)

    def _become_bound(self, mode: BindMode, now: float) -> None:
        self._enter(State.BOUND)
        self._rights = self.dialect.rights(self.role, mode)
        self._phase_deadline = None
        self._keepalive.sent(now)

    def _close(self, reason: CloseReason, detail: str, now: float) -> Closed:
        unanswered = tuple(pending.token for pending in self._in_flight.values())
        self._in_flight.clear()
        self._enter(State.CLOSED)
        self._phase_deadline = None
        self.closed = Closed(reason, detail, unanswered, now)
        return self.closed

    @abstractmethod
    def _drain(self, now: float) -> None:
        """Go on with unbinding once nothing waits any more."""


_ARRIVALS = {
    Arrival.PENDING: "repeated_request",
    Arrival.ANSWERED: "repeated_request",
    Arrival.CONFLICT: "reused_sequence",
    Arrival.FULL: "window_exceeded",
}
