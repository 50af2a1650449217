"""Releases, items and flights in memory: what is to be sent, and what is under way and waits for an answer or a receipt.  Pure.

A *flight* is one committed grant: some segments of one release on one session.  A token names one segment of one flight; every token
is settled exactly once: answered, uncertain, or never written.
"""

from __future__ import annotations

from collections.abc import Iterator

from carrier.model import Submit
from contracts.chunk import Chunk
from contracts.events.dispatch import CloseCause

TOKEN_BITS = 12
MAX_SEGMENTS_OF_FLIGHT = 1 << TOKEN_BITS
"""Segments one flight may have; a grant is at most one item of 500 messages cut by the window."""
PLACE = MAX_SEGMENTS_OF_FLIGHT - 1
"""The bits of a token that say which segment of its flight it is."""


class Head:
    """What outlives the payload of a release: enough to publish about its messages."""

    __slots__ = ("chunk_id", "ekey", "enterprise", "lane", "release_id", "tenant", "traceparent")

    def __init__(
        self, release_id: str, chunk_id: str, tenant: str, enterprise: str, ekey: str, lane: int, traceparent: str
    ) -> None:
        self.release_id = release_id
        self.chunk_id = chunk_id
        self.tenant = tenant
        self.enterprise = enterprise
        self.ekey = ekey
        self.lane = lane
        self.traceparent = traceparent


class Release:
    """A release with its messages."""

    __slots__ = ("chunk", "head", "refs", "senders", "task_ids")

    def __init__(self, head: Head, chunk: Chunk) -> None:
        self.head = head
        self.chunk = chunk
        entries = chunk.entries
        self.senders = [entries[0].port] if len({e.port for e in entries}) == 1 else None
        self.task_ids = [entries[0].task_id] if len({e.task_id for e in entries}) == 1 else None
        refs = {e.ref for e in entries}
        self.refs: list[str] | None = ([] if refs == {""} else [entries[0].ref]) if len(refs) == 1 else None


class Work:
    """One claimed item of the queue with its release; ``pos`` moves as messages are granted."""

    __slots__ = (
        "attempt",
        "checked_at",
        "claim",
        "dropped",
        "expires_at",
        "grp",
        "id",
        "indices",
        "kind",
        "known",
        "n",
        "pos",
        "ready",
        "release",
        "segs",
        "version",
    )

    def __init__(
        self,
        *,
        id: int,
        version: int,
        release: Release,
        grp: str,
        kind: int,
        attempt: int,
        expires_at: int,
        indices: list[int],
        segs: list[int] | None,
        pos: int,
        claim: tuple[str, int],
    ) -> None:
        self.id = id
        self.version = version
        self.release = release
        self.grp = grp
        self.kind = kind
        self.attempt = attempt
        self.expires_at = expires_at
        self.indices = indices
        self.segs = segs
        self.pos = pos
        self.n = len(indices)
        self.claim = claim
        self.dropped: dict[int, CloseCause] = {}
        self.known: set[tuple[int, int]] = set()
        """(index, segment) of a resend whose receipt came meanwhile: nothing to send."""
        self.checked_at = 0.0
        self.ready: tuple[Submit, ...] | None = None
        """Submits of the message at ``pos``, when they were made and did not fit yet."""

    @property
    def ekey(self) -> str:
        """Whose it is, as the round robin wants it."""
        return self.release.head.ekey

    def empty(self) -> bool:
        """Whether everything is granted."""
        return self.pos >= self.n

    def messages(self) -> Iterator[tuple[int, int, list[int] | None]]:
        """Yield (position after, index, segment numbers or None) of the messages from ``pos`` on."""
        pos, n, indices, segs = self.pos, self.n, self.indices, self.segs
        while pos < n:
            index = indices[pos]
            if segs is None:
                pos += 1
                yield pos, index, None
                continue
            chosen = [segs[pos]]
            pos += 1
            while pos < n and indices[pos] == index:
                chosen.append(segs[pos])
                pos += 1
            yield pos, index, chosen


class Flight:
    """One grant under way; lists run in parallel, one place per segment."""

    __slots__ = (
        "answered_at",
        "answers",
        "attempt",
        "codes",
        "epoch",
        "expires_at",
        "granted_at",
        "grp",
        "head",
        "id",
        "indices",
        "kind",
        "link",
        "open",
        "recipients",
        "release",
        "returned",
        "segs",
        "serial",
        "slot",
        "submits",
        "totals",
        "trace",
    )

    def __init__(self, *, id: int, serial: int, link: str, slot: int, epoch: int, work: Work, granted_at: int) -> None:
        self.id = id
        self.serial = serial
        self.link = link
        self.slot = slot
        self.epoch = epoch
        self.head = work.release.head
        self.trace = self.head.traceparent
        """What follows from this flight continues this trace context; the span of its submit, once there is one."""
        self.release: Release | None = work.release
        self.kind = work.kind
        self.attempt = work.attempt
        self.grp = work.grp
        self.expires_at = work.expires_at
        self.granted_at = granted_at
        self.indices: list[int] = []
        self.segs: list[int] = []
        self.totals: list[int] = []
        self.recipients: list[int] = []
        self.submits: list[Submit] = []
        self.open = 0
        self.answers: list[tuple[int, int, str]] = []
        """(place, status, carrier id) of what is to be journalled in the next cycle."""
        self.answered_at = 0.0
        """When the latest of them was read, monotonic seconds."""
        self.codes = bytearray()
        """Per place: 0 nothing final reported, 1 reported."""
        self.returned: set[int] = set()
        """Places that went back into the queue: no longer the grant's, whoever recovers it."""

    def add(self, index: int, seg: int, total: int, recipient: int, submit: Submit) -> None:
        """Add a segment."""
        self.recipients.append(recipient)
        self.indices.append(index)
        self.segs.append(seg)
        self.totals.append(total)
        self.submits.append(submit)

    def add_whole(self, indices: list[int], recipients: list[int], submits: list[Submit]) -> None:
        """Add messages of one segment each."""
        ones = [1] * len(indices)
        self.recipients += recipients
        self.indices += indices
        self.segs += ones
        self.totals += ones
        self.submits += submits

    def seal(self) -> None:
        """Say that all segments are added."""
        self.open = len(self.indices)
        self.codes = bytearray(self.open)

    def token(self, place: int) -> int:
        """Return the token of a segment."""
        return self.serial << TOKEN_BITS | place

    def kept(self) -> tuple[list[int], list[int], list[int]]:
        """Return (indices, segments, totals) of what did not go back into the queue."""
        places = [place for place in range(len(self.indices)) if place not in self.returned]
        return [self.indices[p] for p in places], [self.segs[p] for p in places], [self.totals[p] for p in places]

    def let_go(self) -> None:
        """Forget the payload: every token is settled and journalled."""
        self.release = None
        self.submits = []


def place_of(token: int) -> tuple[int, int]:
    """Return (serial, place) of a token."""
    return token >> TOKEN_BITS, token & PLACE
