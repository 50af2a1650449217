"""What review says: which messages may be sent, and what became of those that had to wait."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from contracts.chunk import Chunk


class Decision(StrEnum):
    """Where a held message stands (review.md, "Interface"), and `released` for everything that may go."""

    HELD = "held"
    CLAIMED = "claimed"
    RELEASED = "released"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    OUTSIDE_REVIEW_HOURS = "outside_review_hours"
    OUTSIDE_SENDING_WINDOW = "outside_sending_window"
    PORT_SUSPENDED = "port_suspended"


class ChunkReleased(msgspec.Struct, frozen=True, omit_defaults=True):
    """A recorded release: dispatch submits these messages and nothing else.

    A chunk may be released in several parts; no message is in two of them.
    """

    release_id: str
    """`event_id(chunk_id, "released", part)`: the key by which dispatch takes it in once."""
    chunk: Chunk
    released_at: int
    reason: str
    """`direct` (no ground to hold), `approved`, `fastlane`."""
    indices: list[int] | None = None
    """The messages released; None is all of the chunk."""
    by: str = ""
    """The reviewer who approved; empty for `direct`."""


class MessagesDecided(msgspec.Struct, frozen=True, omit_defaults=True):
    """A decision without payload, for status, reports and the caller."""

    chunk_id: str
    decision: Decision
    at: int
    task_id: str = ""
    """Set when the decision is on one task; a micro-chunk's direct release has none."""
    indices: list[int] | None = None
    reason: str = ""
    """Stable code or the standard cited, such as `bulk_threshold`, `9B-3`."""
    by: str = ""
    note: str = ""
