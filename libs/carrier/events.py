"""What a session tells its owner. Every call that feeds the session returns a list of these, in order."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from carrier.model import BindMode, Mo, Outcome, Refusal, Report, Submit


class CloseReason(StrEnum):
    """Why a session is over; a closed set, for metrics and for what the owner does next."""

    UNBOUND = "unbound"
    """We asked, the peer agreed."""
    PEER_UNBOUND = "peer_unbound"
    BIND_REFUSED = "bind_refused"
    BIND_TIMEOUT = "bind_timeout"
    RESPONSE_TIMEOUT = "response_timeout"
    KEEPALIVE_TIMEOUT = "keepalive_timeout"
    UNBIND_TIMEOUT = "unbind_timeout"
    IDLE = "idle"
    EOF = "eof"
    FRAMING = "framing"
    """A length field that cannot be true: the stream cannot be followed any more."""
    PROTOCOL = "protocol"
    ABORTED = "aborted"
    """The owner gave the session up (lease lost, shutdown without drain)."""


class Bound(msgspec.Struct, frozen=True, gc=False):
    """The session may carry messages. ``trusted`` is False when the peer's own proof was wrong, None when it has
    none.
    """

    account: str
    mode: BindMode
    version: int
    trusted: bool | None
    at: float


class BindRefused(msgspec.Struct, frozen=True, gc=False):
    """The server refused us; ``Closed`` follows in the same list."""

    status: int
    refusal: Refusal
    at: float


class BindInvited(msgspec.Struct, frozen=True, gc=False):
    """The carrier opened the connection and asks us to bind (SMPP outbind): check it, then call ``start``."""

    account: str
    secret: str


class BindRequested(msgspec.Struct, frozen=True, gc=False):
    """A client asks to bind: find the account's secret, then ``check_bind`` and ``answer_bind``."""

    account: str
    mode: BindMode
    version: int
    at: float


class Answered(msgspec.Struct, frozen=True, gc=False):
    """The other side answered the item handed over with ``token``.

    ``message_id`` is the carrier's id as text in this dialect's notation, empty when not accepted. ``attempts`` > 1
    when sent again.
    """

    token: int
    status: int
    outcome: Outcome
    message_id: str
    attempts: int
    at: float


class Replied(msgspec.Struct, frozen=True, gc=False):
    """The answer to a request made with ``Session.request``: its fields under the standard's own names."""

    token: int
    outcome: Outcome
    fields: Mapping[str, object]
    at: float


class Resent(msgspec.Struct, frozen=True, gc=False):
    """These items were written a second (third...) time because no answer came: they count against a rate again."""

    tokens: tuple[int, ...]
    at: float


class ReportReceived(msgspec.Struct, frozen=True, gc=False):
    """Store it, commit, then ``answer(handle)``."""

    handle: int
    report: Report


class DeliverReceived(msgspec.Struct, frozen=True, gc=False):
    """A message from a phone. Store it, commit, then ``answer(handle)``."""

    handle: int
    mo: Mo


class SubmitReceived(msgspec.Struct, frozen=True, gc=False):
    """A client's submit; ``answer(handle, status, message_id)``. ``frame`` is the PDU, for fields the model does not
    have.
    """

    handle: int
    submit: Submit
    frame: bytes

    def __repr__(self) -> str:
        return f"SubmitReceived({self.handle}, {self.submit!r})"


class RequestReceived(msgspec.Struct, frozen=True, gc=False):
    """Any other request that wants an answer: ``answer_request`` with fields, or ``answer`` with a status."""

    handle: int
    name: str
    fields: Mapping[str, object]


class NoticeReceived(msgspec.Struct, frozen=True, gc=False):
    """A PDU that has no answer (SMPP alert_notification)."""

    name: str
    fields: Mapping[str, object]


class Unbound(msgspec.Struct, frozen=True, gc=False):
    """The peer asked to end the session and was answered; ``Closed`` follows in the same list."""

    at: float


class PeerError(msgspec.Struct, frozen=True, gc=False):
    """The peer did something wrong that the session survived. ``code`` is stable, ``detail`` holds no content and no
    number.
    """

    code: str
    detail: str
    at: float


class Closed(msgspec.Struct, frozen=True, gc=False):
    """The session is over: flush ``bytes_to_send``, close the connection.

    ``unanswered`` are the tokens written and never answered: whether the carrier took them is unknown (mark them
    uncertain).
    """

    reason: CloseReason
    detail: str
    unanswered: tuple[int, ...]
    at: float


Event = (
    Bound
    | BindRefused
    | BindInvited
    | BindRequested
    | Answered
    | Replied
    | Resent
    | ReportReceived
    | DeliverReceived
    | SubmitReceived
    | RequestReceived
    | NoticeReceived
    | Unbound
    | PeerError
    | Closed
)
