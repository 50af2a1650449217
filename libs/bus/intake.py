"""The process's own bounded queue between fetching and handling: order per partition, strict priority between lanes.
Pure.

aiokafka fetches nothing from a node for 100 ms while a record of it is unread, so everything fetched is taken at once
and waits here; `paused` says which partitions must not be fetched for now (architecture.md, "Events").
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bus.records import RawRecord, TopicPartition, rank_of


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one batch holds, and how much one partition may have waiting.

    A batch is the slice a verification code may have to wait for: records and octets are chosen so that a handler needs
    a few milliseconds.  The queue overshoots its limit by at most one fetch (1 MiB a partition).
    """

    max_records: int = 100
    max_octets: int = 256 * 1024
    queue_records: int = 1_000
    queue_octets: int = 2 * 1024 * 1024
    gather_s: float = 0.0
    """A batch of a lane below verification waits so long for its like, unless it is full: for handlers whose cost is by the
    batch (a transaction) and whose results nobody waits for.
    """
    gather_codes_s: float = 0.0
    """The same for verification codes and for records without a lane."""


@dataclass(slots=True, eq=False)
class Partition:
    """Where one assigned partition stands; offsets are of the *next* record."""

    tp: TopicPartition
    rank: int
    fetched: int
    """Next offset expected from the broker."""
    done: int
    """Everything before is complete in effect and published."""
    stored: int
    """What the database or broker holds as our offset."""
    reported: int = -1
    """What the broker was last told, for lag tools; -1 nothing yet."""
    queue: deque[RawRecord] = field(default_factory=deque)
    octets: int = 0
    since: float = 0.0
    """When the oldest waiting record came, on the caller's monotonic clock."""
    paused: bool = False


class Intake:
    """The partitions of one assignment with their queues."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.partitions: dict[TopicPartition, Partition] = {}
        self._turn: dict[int, int] = {}

    def assign(self, positions: dict[TopicPartition, int]) -> None:
        """Begin a new assignment at these next offsets; whatever waited is forgotten."""
        self.partitions = {
            tp: Partition(tp, rank_of(tp.topic), position, position, position) for tp, position in positions.items()
        }

    def clear(self) -> None:
        """Forget the assignment."""
        self.partitions = {}

    def offer(self, tp: TopicPartition, records: Sequence[RawRecord], now: float = 0.0) -> bool:
        """Append records fetched at ``now``; return whether the partition must be paused now.

        Records before the expected offset (a fetch that was under way during a seek) are left out.
        """
        partition = self.partitions.get(tp)
        if partition is None:
            return False
        if not partition.queue:
            partition.since = now
        for record in records:
            if record.offset < partition.fetched:
                continue
            partition.queue.append(record)
            partition.octets += record.octets
            partition.fetched = record.offset + 1
        full = len(partition.queue) >= self.limits.queue_records or partition.octets >= self.limits.queue_octets
        if full and not partition.paused:
            partition.paused = True
            return True
        return False

    def any_paused(self) -> bool:
        """Whether some partition is not to be fetched for now."""
        return any(partition.paused for partition in self.partitions.values())

    def resumable(self) -> list[TopicPartition]:
        """Return paused partitions that have drained to half, and count them as running again."""
        half_records, half_octets = self.limits.queue_records // 2, self.limits.queue_octets // 2
        found = []
        for partition in self.partitions.values():
            if partition.paused and len(partition.queue) <= half_records and partition.octets <= half_octets:
                partition.paused = False
                found.append(partition.tp)
        return found

    def ripe(self, now: float) -> tuple[set[int], float]:
        """Return the ranks that have a batch to hand out, and when the next of the others will (infinity: none waits)."""
        limits = self.limits
        records: dict[int, int] = {}
        octets: dict[int, int] = {}
        since: dict[int, float] = {}
        for partition in self.partitions.values():
            if partition.queue:
                rank = partition.rank
                records[rank] = records.get(rank, 0) + len(partition.queue)
                octets[rank] = octets.get(rank, 0) + partition.octets
                since[rank] = min(since.get(rank, partition.since), partition.since)
        found: set[int] = set()
        later = float("inf")
        for rank, begun in since.items():
            full = records[rank] >= limits.max_records or octets[rank] >= limits.max_octets
            ripe_at = begun + (limits.gather_s if rank else limits.gather_codes_s)
            if full or ripe_at <= now:
                found.add(rank)
            else:
                later = min(later, ripe_at)
        return found, later

    def take(self, ranks: Iterable[int]) -> list[RawRecord]:
        """Return the next batch of the best of ``ranks``: one topic, up to the limits; empty when nothing waits.

        Topics of a rank and partitions of a topic take turns; a single record above the octet limit is a batch by
        itself.
        """
        allowed = set(ranks)
        waiting = [p for p in self.partitions.values() if p.queue and p.rank in allowed]
        if not waiting:
            return []
        rank = min(p.rank for p in waiting)
        candidates = sorted((p for p in waiting if p.rank == rank), key=lambda p: p.tp)
        turn = self._turn.get(rank, 0)
        self._turn[rank] = turn + 1
        first = turn % len(candidates)
        candidates = candidates[first:] + candidates[:first]
        topic = candidates[0].tp.topic
        batch: list[RawRecord] = []
        octets = 0
        for partition in candidates:
            if partition.tp.topic != topic:
                continue
            while partition.queue and len(batch) < self.limits.max_records:
                size = partition.queue[0].octets
                if batch and octets + size > self.limits.max_octets:
                    return batch
                batch.append(partition.queue.popleft())
                partition.octets -= size
                octets += size
        return batch

    def put_back(self, batch: Sequence[RawRecord], owners: dict[TopicPartition, Partition]) -> None:
        """Return a batch to the front of its queues; partitions that were reassigned meanwhile are left alone."""
        for record in reversed(batch):
            partition = self.partitions.get(record.tp)
            if partition is None or partition is not owners.get(record.tp):
                continue
            partition.queue.appendleft(record)
            partition.octets += record.octets

    def rewind(self, tp: TopicPartition, position: int) -> None:
        """Drop what waits of one partition and expect ``position`` next."""
        partition = self.partitions.get(tp)
        if partition is not None:
            partition.queue.clear()
            partition.octets = 0
            partition.fetched = partition.done = partition.stored = position
