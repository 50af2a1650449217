"""Dead letters: what a consumer could not understand, kept whole in `<service>.dlq` with where it came from and why.

A letter is named by its offset in that topic (one partition).  Replaying and dropping write a marker record into the
same topic, saying who, when and why: the topic is its own audit trail, and needs no table.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog

from bus import metrics
from bus.producer import Producer, RawOutgoing
from bus.records import Invalid, RawRecord, TooManyInvalid
from bus.replay import read_topic
from contracts.topics import dead_letter_topic

PREFIX = "dlq."
REPLAY_FOR = "dlq.replay-for"
"""Header of a replayed record: the consumer group it is for; all others pass it over, for they have had it."""

MARKER = "dlq.marker"
MAX_REASON = 300
WINDOW_S = 60.0

log = structlog.get_logger()


class DeadLetterSink:
    """Where one consumer group buries; counts over a window and stops the process when too much is invalid."""

    def __init__(self, producer: Producer, group: str, service: str, *, cap: int = 100, instance: str = "") -> None:
        """``cap``: most letters in any `WINDOW_S` seconds."""
        self._producer = producer
        self._group = group
        self._topic = dead_letter_topic(service)
        self._cap = cap
        self._instance = instance
        self._recent: deque[float] = deque()

    async def bury(self, letters: Sequence[Invalid]) -> None:
        """Write the letters and wait for their acknowledgement; raises `TooManyInvalid` above the cap, writing none."""
        if not letters:
            return
        now = time.monotonic()
        while self._recent and now - self._recent[0] > WINDOW_S:
            self._recent.popleft()
        if len(self._recent) + len(letters) > self._cap:
            codes = dict(Counter(letter.code for letter in letters))
            raise TooManyInvalid(f"more than {self._cap} invalid records in {WINDOW_S:g} s, now {codes}")
        self._recent.extend(now for _ in letters)
        await self._producer.send_raw([self._record(letter) for letter in letters])
        for letter in letters:
            metrics.DEAD_LETTERS.labels(self._group, letter.raw.topic, letter.code).inc()
            log.error(
                "record_dead_lettered",
                topic=letter.raw.topic,
                partition=letter.raw.partition,
                offset=letter.raw.offset,
                code=letter.code,
                reason=letter.reason[:MAX_REASON],
            )

    def _record(self, letter: Invalid) -> RawOutgoing:
        raw = letter.raw
        about = {
            "topic": raw.topic,
            "partition": str(raw.partition),
            "offset": str(raw.offset),
            "timestamp": str(raw.timestamp_ms),
            "group": self._group,
            "instance": self._instance,
            "code": letter.code,
            "reason": letter.reason[:MAX_REASON],
            "at": str(time.time_ns() // 1_000_000),
        }
        kept = tuple(h for h in raw.headers if not h[0].startswith(PREFIX))
        headers = (*kept, *((PREFIX + name, value.encode()) for name, value in about.items()))
        return RawOutgoing(self._topic, raw.key, raw.value, headers)


class _Mark(msgspec.Struct, frozen=True):
    numbers: list[int]
    by: str
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """What was done about a letter."""

    action: str
    """``replayed`` or ``dropped``."""
    by: str
    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter; ``record`` is the original as it was, with its own topic, partition and offset."""

    number: int
    service: str
    group: str
    code: str
    reason: str
    at_ms: int
    record: RawRecord
    settled: Settlement | None = None

    def summary(self) -> dict[str, Any]:
        """Return what may be shown of it: everything but key and value."""
        return {
            "number": self.number,
            "service": self.service,
            "group": self.group,
            "topic": self.record.topic,
            "partition": self.record.partition,
            "offset": self.record.offset,
            "type": self.record.header("type"),
            "octets": self.record.octets,
            "code": self.code,
            "reason": self.reason,
            "at": self.at_ms,
            "settled": msgspec.to_builtins(self.settled) if self.settled else None,
        }


class NoSuchLetter(LookupError):
    """There is no letter of that number, or it is settled already."""


async def list_letters(
    bootstrap_servers: str, service: str, *, limit: int = 100, include_settled: bool = False
) -> list[Letter]:
    """Return the newest ``limit`` letters of a service (ingest, spamfilter, review, dispatch, billing), oldest first."""
    letters: deque[Letter] = deque(maxlen=limit if include_settled else None)
    settled: dict[int, Settlement] = {}
    async for record in read_topic(bootstrap_servers, dead_letter_topic(service)):
        marker = record.header(MARKER)
        if marker:
            mark = msgspec.json.decode(record.value or b"", type=_Mark)
            settled.update((n, Settlement(marker, mark.by, mark.reason, mark.at)) for n in mark.numbers)
        elif (letter := _letter(service, record)) is not None:
            letters.append(letter)
    found = [_with(letter, settled.get(letter.number)) for letter in letters]
    return (found if include_settled else [letter for letter in found if letter.settled is None])[-limit:]


async def show(bootstrap_servers: str, service: str, number: int) -> Letter | None:
    """Return one letter, settled or not, None when there is none."""
    letters = await list_letters(bootstrap_servers, service, limit=1_000_000, include_settled=True)
    return next((letter for letter in letters if letter.number == number), None)


async def replay(bootstrap_servers: str, service: str, numbers: Sequence[int], *, by: str, reason: str) -> list[Letter]:
    """Put letters back into the topics they came from, for the group that refused them, and mark them.

    Returns the letters; raises `NoSuchLetter` before anything is written.  A crash between both steps leaves a letter
    open that was replayed: replaying again is harmless, for ids are the same.
    """
    letters = await _open_letters(bootstrap_servers, service, numbers)
    records = [
        RawOutgoing(
            letter.record.topic,
            letter.record.key,
            letter.record.value,
            (*letter.record.headers, (REPLAY_FOR, letter.group.encode())),
        )
        for letter in letters
    ]
    await _write(bootstrap_servers, records)
    await _write(bootstrap_servers, [_marker(service, "replayed", numbers, by, reason)])
    return letters


async def drop(bootstrap_servers: str, service: str, numbers: Sequence[int], *, by: str, reason: str) -> list[Letter]:
    """Mark letters as not wanted; they stay readable until the topic's retention.  Raises `NoSuchLetter`."""
    letters = await _open_letters(bootstrap_servers, service, numbers)
    await _write(bootstrap_servers, [_marker(service, "dropped", numbers, by, reason)])
    return letters


async def _open_letters(bootstrap_servers: str, service: str, numbers: Sequence[int]) -> list[Letter]:
    letters = {x.number: x for x in await list_letters(bootstrap_servers, service, limit=1_000_000)}
    missing = [n for n in numbers if n not in letters]
    if missing:
        raise NoSuchLetter(f"no open dead letter {missing} of {service} / 没有未处理的死信 {missing}")
    return [letters[n] for n in numbers]


async def _write(bootstrap_servers: str, records: Sequence[RawOutgoing]) -> None:
    producer = Producer(bootstrap_servers, client_id="dead-letters")
    await producer.start()
    try:
        await producer.send_raw(records, timeout_s=30)
    finally:
        await producer.close()


def _marker(service: str, action: str, numbers: Sequence[int], by: str, reason: str) -> RawOutgoing:
    mark = _Mark(list(numbers), by, reason[:MAX_REASON], time.time_ns() // 1_000_000)
    return RawOutgoing(dead_letter_topic(service), b"marker", msgspec.json.encode(mark), ((MARKER, action.encode()),))


def _letter(service: str, record: RawRecord) -> Letter | None:
    """Return the letter a record of the topic holds; None for a record that is none (somebody else's)."""
    try:
        partition = int(record.header(PREFIX + "partition"))
        offset = int(record.header(PREFIX + "offset"))
        timestamp = int(record.header(PREFIX + "timestamp"))
        at = int(record.header(PREFIX + "at"))
    except ValueError:
        return None
    headers = tuple(h for h in record.headers if not h[0].startswith(PREFIX))
    original = RawRecord(
        record.header(PREFIX + "topic"), partition, offset, timestamp, record.key, record.value, headers
    )
    return Letter(
        number=record.offset,
        service=service,
        group=record.header(PREFIX + "group"),
        code=record.header(PREFIX + "code"),
        reason=record.header(PREFIX + "reason"),
        at_ms=at,
        record=original,
    )


def _with(letter: Letter, settlement: Settlement | None) -> Letter:
    if settlement is None:
        return letter
    return Letter(
        letter.number, letter.service, letter.group, letter.code, letter.reason, letter.at_ms, letter.record, settlement
    )
