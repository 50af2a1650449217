"""What dispatch says: what was answered by the carrier, what came back, and what ended without being sent.

All but the replies travel in `dispatch.outcomes.<lane>`, in order per enterprise.  Lists of one event run in parallel: position
``i`` of each belongs to the same segment.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class MessagesQueued(msgspec.Struct, frozen=True, omit_defaults=True):
    """Released messages are in dispatch's queue."""

    chunk_id: str
    at: int
    indices: list[int] | None = None
    not_before: int = 0
    """Unix ms when scheduled for later, else 0."""


class SegmentsAnswered(msgspec.Struct, frozen=True, omit_defaults=True):
    """The carrier answered these submits, and the answers are durable: the source of charging.

    ``statuses`` are the carrier's own result codes, 0 accepted.  A status other than 0 here is final (throttling is not
    reported: it is retried).
    """

    chunk_id: str
    enterprise: str
    link: str
    slot: int
    epoch: int
    batch: int
    """Number of the answer batch in dispatch's journal."""
    at: int
    """Unix ms at which the answers were read from the carrier."""
    protocol: str
    carrier: str
    """Carrier of the link: CMCC, CUCC, CTCC, ..."""
    indices: list[int]
    segments: list[int]
    """Segment numbers, from 1."""
    totals: list[int]
    """Segments of the message this segment belongs to."""
    statuses: list[int]
    carrier_ids: list[str]
    """As the carrier wrote them; empty where refused."""
    recipients: list[int]
    senders: list[str]
    """One for all, or one each."""
    task_ids: list[str]
    """One for all, or one each."""
    refs: list[str] = []
    """Business keys: none, one for all, or one each."""
    resent: list[int] = []
    """Positions in these lists of segments that had been uncertain and were sent again."""


class SegmentState(StrEnum):
    """Final or intermediate outcome of a segment according to the carrier's receipt."""

    DELIVERED = "delivered"
    FAILED = "failed"
    EXPIRED = "expired"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class SegmentsReported(msgspec.Struct, frozen=True, omit_defaults=True):
    """Receipts matched to their segments.  A repeated receipt is not reported twice."""

    chunk_id: str
    enterprise: str
    link: str
    batch: int
    at: int
    """Unix ms at which the receipts were stored."""
    indices: list[int]
    segments: list[int]
    totals: list[int]
    states: list[SegmentState]
    codes: list[str]
    """The carrier's own word and error, such as `DELIVRD:000` or `UNDELIV:045`."""
    done_at: list[int]
    """Unix ms from the receipt; 0 where it has none."""


class SegmentsUncertain(msgspec.Struct, frozen=True, omit_defaults=True):
    """Written, or perhaps written, to the carrier with no answer seen; ``rule`` says what happens now."""

    chunk_id: str
    enterprise: str
    link: str
    slot: int
    epoch: int
    at: int
    indices: list[int]
    segments: list[int]
    rule: str
    """`resend` at once, or `hold` for a receipt first."""


class CloseCause(StrEnum):
    """Why a message ended in dispatch without a receipt."""

    EXPIRED = "expired"
    CANCELLED = "cancelled"
    OPTED_OUT = "opted_out"
    FREQUENCY_CAP = "frequency_cap"
    NO_ROUTE = "no_route"
    CARRIER_REFUSED = "carrier_refused"
    NO_RECEIPT = "no_receipt"


class MessagesClosed(msgspec.Struct, frozen=True, omit_defaults=True):
    """These messages reached a final state without a receipt saying so."""

    chunk_id: str
    enterprise: str
    at: int
    indices: list[int]
    cause: CloseCause
    code: str = ""
    """The carrier's result where it refused."""


class MessageReceived(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message from a phone (MO), joined if it was long, stored once."""

    mo_id: str
    link: str
    sender: int
    port: str
    text: str
    at: int
    chunk_id: str = ""
    """The last MT to that number on that port, when there is one."""
    index: int = -1
    enterprise: str = ""
    action: str = ""
    """`opt_out` when it was an opt-out word, else empty."""


class OptedOut(msgspec.Struct, frozen=True, omit_defaults=True):
    """A customer said no to a port of an enterprise: nothing but codes goes to him from there."""

    number: int
    port: str
    enterprise: str
    at: int
    mo_id: str
    word: str
