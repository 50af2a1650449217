"""What there is to be seen in held messages, and which review item of their task a late part belongs to.

A decision covers what the reviewer could see when he made it: contents by their fingerprint and findings of screening by rule and
matched words.  A part that holds nothing else follows that decision; a part that does waits under an item of its own.  Pure: the
store keeps the sights, the handler locks what is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import xxhash

from contracts.chunk import Chunk, Entry
from contracts.events.spamfilter import ChunkScreened, Finding, Judgement
from review.domain.content import fingerprint, text_to_compare
from review.domain.item import OPEN, ItemState

MAX_SIGHTS = 500
"""Different findings and texts kept for one item; what comes beyond is never taken for seen."""

MAX_TEXT = 2_000
"""Code points kept of a message that shows a finding."""

_SIGN = 1 << 63
_BETWEEN = "\x1f"


class SightKind(StrEnum):
    """A finding of screening, or a text that differs from the item's first one."""

    FINDING = "finding"
    CONTENT = "content"


@dataclass(slots=True)
class Sight:
    """One thing to be seen, by its first message: ``text`` is that message's, ``messages`` how many show it."""

    digest: int
    kind: SightKind
    text: str
    chunk_id: str
    index: int
    messages: int
    finding: Finding | None = None


@dataclass(slots=True)
class Standing:
    """A review item of a task as it stands.  ``seen`` are the digests of everything recorded with it."""

    item: str
    round: int
    state: ItemState
    fast_lane: bool
    seen: set[int] = field(default_factory=set)

    def covers(self, digests: Iterable[int]) -> bool:
        """Return whether the item shows everything a part holds."""
        return self.seen.issuperset(digests)


class Placing(StrEnum):
    """How a part joins the items of its task."""

    COVERED = "covered"
    """It holds nothing the item does not show: the item's decision, made or to come, is the part's."""
    JOINED = "joined"
    """It adds something to an item that is not approved."""
    OPENED = "opened"
    """It needs an item of its own."""


def place(items: Sequence[Standing], digests: Iterable[int]) -> tuple[Placing, Standing | None]:
    """Return where a part with these sights belongs; ``items`` are those of its task by round.

    The oldest item that shows everything has it: so a plain part follows the approval it belongs to, whatever became of suspicious
    parts since.  Something new waits with an open item; after an approval it opens one; after any other end it follows that end.
    """
    wanted = set(digests)
    for item in items:
        if item.covers(wanted):
            return Placing.COVERED, item
    for item in reversed(items):
        if item.state in OPEN:
            return Placing.JOINED, item
    if items and items[-1].state is not ItemState.APPROVED:
        return Placing.JOINED, items[-1]
    return Placing.OPENED, None


def judgements_by_index(screened: ChunkScreened) -> dict[int, list[Judgement]]:
    """Return the judgements on each message that has one, also those that let it pass with a finding."""
    found: dict[int, list[Judgement]] = {}
    for judgement in screened.judgements:
        for index in range(judgement.first, judgement.first + judgement.count):
            found.setdefault(index, []).append(judgement)
    return found


def sights_of(
    chunk: Chunk, entry: Entry, indices: Sequence[int], judged: dict[int, list[Judgement]]
) -> tuple[int, list[Sight]]:
    """Return (digest of the content, sights of the findings) of one held part."""
    content = fingerprint(text_to_compare(entry)).exact
    found: dict[int, Sight] = {}
    if judged:
        for index in indices:
            for judgement in judged.get(index, ()):
                for digest, finding in _findings(judgement):
                    known = found.get(digest)
                    if known is None:
                        text = chunk.text_of(index)[:MAX_TEXT]
                        found[digest] = Sight(digest, SightKind.FINDING, text, chunk.chunk_id, index, 1, finding)
                    else:
                        known.messages += 1
    return content, list(found.values())


def another_content(chunk: Chunk, indices: Sequence[int], digest: int) -> Sight:
    """Return the sight of a text that is not the item's first one."""
    text = chunk.text_of(indices[0])[:MAX_TEXT]
    return Sight(digest, SightKind.CONTENT, text, chunk.chunk_id, indices[0], len(indices))


def late_cluster(cluster: int, digests: Iterable[int]) -> int:
    """Return the cluster of an item that came after a decision: alike late parts are decided together, never with fresh tasks."""
    return _digest("late", str(cluster), *(str(digest) for digest in sorted(digests)))


def round_entropy(task_id: str, number: int) -> bytes:
    """Return ten octets for the id of a task's item ``number`` (from 2), the same however often it is asked."""
    return xxhash.xxh3_128_digest(f"{task_id}:{number}".encode())[:10]


def _findings(judgement: Judgement) -> list[tuple[int, Finding | None]]:
    if not judgement.findings:
        return [(_digest("reason", judgement.reason), None)]
    return [
        (_digest("finding", finding.rule, finding.level, finding.matched.casefold()), finding)
        for finding in judgement.findings
    ]


def _digest(*words: str) -> int:
    return xxhash.xxh64_intdigest(_BETWEEN.join(words).encode("utf-8", "surrogatepass")) - _SIGN
