"""What a handler is given and what it may answer: a batch of decoded records, and exactly three outcomes.

Done (return), back-pressure (`Busy`: keep and try again), invalid (`Invalid`: to the dead letters).  Anything else
raised is a fault of ours: the process ends and starts again from the last stored offset.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from opentelemetry.trace import Span

from contracts.envelope import Envelope
from contracts.lanes import Lane

Headers = tuple[tuple[str, bytes], ...]

_LANE_NAMES = frozenset(lane.value for lane in Lane)


class TopicPartition(NamedTuple):
    """One partition of one topic; equal to aiokafka's own."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record as the broker has it."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def octets(self) -> int:
        """Size of the value and key."""
        return len(self.value or b"") + len(self.key or b"")

    @property
    def tp(self) -> TopicPartition:
        """Where it stands."""
        return TopicPartition(self.topic, self.partition)

    def header(self, name: str) -> str:
        """Return a header's text, empty when absent; octets that are not UTF-8 are replaced."""
        for key, value in self.headers:
            if key == name:
                return value.decode("utf-8", "replace")
        return ""


@dataclass(frozen=True, slots=True)
class Record:
    """A record whose event is decoded.

    ``traceparent`` continues the event's own trace: give it to the events that follow from this one.
    ``span`` is there while that trace is recorded: a handler may say in its attributes what the event brought about (counts and
    ids, no numbers, no contents).  The bus ends it when the effect is durable.
    """

    raw: RawRecord
    envelope: Envelope[Any]
    traceparent: str
    span: Span | None = None

    @property
    def topic(self) -> str:
        """Topic of the record."""
        return self.raw.topic

    @property
    def partition(self) -> int:
        """Partition of the record."""
        return self.raw.partition

    @property
    def offset(self) -> int:
        """Offset of the record."""
        return self.raw.offset

    @property
    def data(self) -> Any:
        """The event itself."""
        return self.envelope.data


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one topic, at least one, in order per partition."""

    topic: str
    lane: Lane | None
    records: Sequence[Record]

    def __iter__(self) -> Iterator[Record]:
        """Iterate over the records."""
        return iter(self.records)

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.records)


class Busy(Exception):
    """Back-pressure: nothing was done, keep the batch and try again after ``retry_after_s`` seconds."""

    def __init__(self, reason: str, retry_after_s: float = 0.2) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Invalid:
    """A record that will never be understood: to the dead letters, with a stable code and a reason free of contents and
    numbers.
    """

    record: Record | RawRecord
    code: str
    reason: str

    @property
    def raw(self) -> RawRecord:
        """The record as the broker had it."""
        return self.record.raw if isinstance(self.record, Record) else self.record


class TooManyInvalid(Exception):
    """More records were invalid in a window than the cap allows: something systematic is wrong, and burying it would
    hide it.
    """


def lane_of(topic: str) -> Lane | None:
    """Return the lane in a topic's name (its last part), None for topics without lanes."""
    last = topic.rpartition(".")[2]
    return Lane(last) if last in _LANE_NAMES else None


def rank_of(topic: str) -> int:
    """Return a topic's priority, 0 first; topics without lanes carry few and small control events and go first."""
    lane = lane_of(topic)
    return lane.rank if lane is not None else 0
