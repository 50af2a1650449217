"""What spamfilter says: the screened chunk for the next stage, the verdicts for the record, and the counts of senders."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from contracts.chunk import Chunk
from contracts.lanes import Lane


class Verdict(StrEnum):
    """What screening decided of a message."""

    PASS = "pass"  # noqa: S105 - a verdict, no secret
    HOLD = "hold"
    BLOCK = "block"


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rule that fired, with what it saw.

    ``span`` is [start, end) in code points of the message's own text; ``figure`` is the count or score where the rule has one.
    """

    rule: str
    category: str
    level: str
    """block, hold or score: what the rule asks for."""
    span: tuple[int, int] | None = None
    matched: str = ""
    """The original text that matched, as the sender wrote it."""
    figure: float | None = None


class Judgement(msgspec.Struct, frozen=True, omit_defaults=True):
    """The verdict on messages ``first`` .. ``first + count - 1`` of a chunk; those without a judgement pass."""

    first: int
    count: int
    verdict: Verdict
    reason: str
    """Stable code of the strongest finding, such as `keyword_block` or `sender_threshold`."""
    findings: list[Finding] = []


class ChunkScreened(msgspec.Struct, frozen=True, omit_defaults=True):
    """A chunk, or the part of it that travels in this lane, as screening leaves it: input of review.

    Messages whose verdict is block are final here and must go no further.
    """

    chunk: Chunk
    ruleset: str
    """Version of the rule set that judged."""
    screened_at: int
    judgements: list[Judgement] = []
    indices: list[int] | None = None
    """The messages this event speaks for; None is all.  A chunk is cut when some of its codes were demoted to another lane."""
    part: int = 0
    """0 is the chunk's own lane, 1 what was demoted."""
    code_entries: list[int] = []
    """Positions in `chunk.entries` of contents that match an approved code template: they never add up in review."""


class ChunkJudged(msgspec.Struct, frozen=True, omit_defaults=True):
    """The verdicts on a chunk without its payload: what status and reports need to know."""

    chunk_id: str
    ruleset: str
    screened_at: int
    judgements: list[Judgement] = []
    demoted: list[int] = []
    """Messages sent as `verification` that are none; they go on as ``demoted_to``."""
    demoted_to: Lane | None = None


class SenderCounted(msgspec.Struct, frozen=True, omit_defaults=True):
    """So many messages of one sender in one chunk: from these the sender windows are rebuilt after a restart."""

    chunk_id: str
    sender: str
    at: int
    """Event time, Unix ms: the chunk's `accepted_at`."""
    count: int
    first: int = 0
    """Index of the first counted message, so that repeating the event changes nothing."""
