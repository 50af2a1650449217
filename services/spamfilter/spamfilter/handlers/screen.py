"""Screening of accepted chunks: a pure stage of the bus.

Order of publication is what makes sender windows exact: the counts of a batch are acknowledged before its screened
chunks and verdicts are produced, and the offset follows both (docs/decisions, "Sender windows are rebuilt from a log
of counts").
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from bus.producer import Producer
from bus.records import Batch, Invalid, Record, TopicPartition
from contracts.chunk import Chunk
from contracts.envelope import Envelope, partition_key
from contracts.events.spamfilter import SenderCounted, Verdict
from contracts.lanes import Lane
from servicekit.clock import Clock
from spamfilter import metrics
from spamfilter.adapters.events import TopicNames, counted_events, outcome_events
from spamfilter.domain.caps import HOUR_MS, CodeCaps, Limits
from spamfilter.domain.chunks import CODE_SENDER, Outcome, State, screen_chunk
from spamfilter.domain.sender import SenderWindows
from spamfilter.domain.soundness import fault_of
from spamfilter.handlers.policy import PolicyHolder
from spamfilter.handlers.turns import Turns

log = structlog.get_logger()

CLOCK_SLACK_MS = 60_000
"""Milliseconds by which the clocks of ingest and of this service may differ."""


class CountedLog(Protocol):
    """The log of counts, read back for one partition."""

    def read(self, partition: int, since_ms: int) -> AsyncIterator[Envelope[SenderCounted]]:
        """Yield the partition's counts produced since ``since_ms`` (Unix ms), to the end as of the call."""
        ...


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """Length of the sender window in ms, and the caps on codes."""

    window_ms: int
    caps: Limits

    @property
    def reach_ms(self) -> int:
        """How far back the log is read before a chunk is screened.

        The day's cap on codes is not rebuilt beyond an hour: the log is kept for two.
        """
        return max(self.window_ms, HOUR_MS if self.caps.per_minute or self.caps.per_hour or self.caps.per_day else 0)


@dataclass(slots=True)
class _Loaded:
    state: State
    since_ms: int


class ScreenChunks:
    """The handler of the bus consumer, one per process; state is per partition and lives as long as its assignment."""

    def __init__(
        self, *, policy: PolicyHolder, producer: Producer, counted_log: CountedLog, clock: Clock,
        windows: WindowSettings, names: TopicNames | None = None,
    ) -> None:  # fmt: skip
        """Take everything from outside; ``names`` are the topics, those of the contracts when not given."""
        self._policy = policy
        self._producer = producer
        self._log = counted_log
        self._clock = clock
        self._windows = windows
        self._names = names or TopicNames()
        self._states: dict[int, _Loaded] = {}
        self._turns = Turns()

    async def forget(self, partitions: Sequence[TopicPartition]) -> None:
        """Drop the state of partitions that come or go: another worker may have moved them on meanwhile."""
        for partition in partitions:
            self._states.pop(partition.partition, None)

    async def handle(self, batch: Batch) -> list[Invalid]:
        """Screen a batch and publish all that follows; returns what no one can screen."""
        sound: list[tuple[Record, Chunk]] = []
        invalid: list[Invalid] = []
        for record in batch:
            chunk = record.data.chunk
            fault = fault_of(chunk)
            if fault is None and record.envelope.key != partition_key(chunk.tenant, chunk.enterprise):
                fault = ("chunk_key", "the envelope's key is not the chunk's enterprise")
            if fault is not None:
                invalid.append(Invalid(record, *fault))
            else:
                sound.append((record, chunk))
        if not sound:
            return invalid
        keys = {record.envelope.key for record, _ in sound}
        while True:
            async with self._turns.of(keys):
                if not self._missing(sound):
                    await self._screen(sound, express=batch.lane is Lane.VERIFICATION)
                    return invalid
            # What is in hand of other lanes counts in the state that would be replaced.
            async with self._turns.alone():
                await self._load(sound)

    async def _screen(self, sound: Sequence[tuple[Record, Chunk]], *, express: bool) -> None:
        counted, others = [], []
        policy = self._policy.current
        for record, chunk in sound:
            begun = time.perf_counter()
            state = self._states[record.partition].state
            outcome = screen_chunk(chunk, policy, state, self._clock.wall_ms())
            metrics.CHUNK_SECONDS.labels(chunk.lane.value).observe(time.perf_counter() - begun)
            counted += counted_events(self._names, chunk, outcome, record.traceparent)
            others += outcome_events(self._names, chunk, outcome, record.traceparent)
            _observe(chunk, outcome)
            # The API and the probes share this loop with bulk.
            await asyncio.sleep(0)
        if counted:
            await self._producer.send_batch(counted, express=express)
        await self._producer.send_batch(others)

    def _missing(self, sound: Sequence[tuple[Record, Chunk]]) -> dict[int, int]:
        """Return the partitions whose state is missing or begins too late for these chunks, with the time it is wanted from."""
        earliest: dict[int, int] = {}
        for record, chunk in sound:
            since = chunk.accepted_at - self._windows.reach_ms
            earliest[record.partition] = min(since, earliest.get(record.partition, since))
        return {
            partition: since
            for partition, since in earliest.items()
            if (loaded := self._states.get(partition)) is None or loaded.since_ms > since
        }

    async def _load(self, sound: Sequence[tuple[Record, Chunk]]) -> None:
        """Read the log back where state is missing."""
        for partition, since in self._missing(sound).items():
            self._states[partition] = _Loaded(await self._rebuild(partition, since), since)

    async def _rebuild(self, partition: int, since_ms: int) -> State:
        begun = time.perf_counter()
        state = State(SenderWindows(self._windows.window_ms), CodeCaps(self._windows.caps))
        records = 0
        # Records are found by when they were produced, which is after `at` but for the difference of two clocks.
        async for envelope in self._log.read(partition, since_ms - CLOCK_SLACK_MS):
            counted = envelope.data
            key = envelope.key
            if counted.sender.startswith(CODE_SENDER):
                state.caps.recall(key, counted.sender, counted.chunk_id, counted.first, counted.at)
            else:
                state.windows.recall(key, counted.sender, counted.chunk_id, counted.first, counted.count, counted.at)
            records += 1
        took = time.perf_counter() - begun
        metrics.REBUILDS.inc()
        metrics.REBUILD_SECONDS.observe(took)
        log.info("windows_rebuilt", partition=partition, records=records, seconds=round(took, 3))
        return state


def _observe(chunk: Chunk, outcome: Outcome) -> None:
    lane: Lane = chunk.lane
    said = dict.fromkeys(Verdict, 0)
    for judgement in outcome.judged.judgements:
        said[judgement.verdict] += judgement.count
        for finding in judgement.findings:
            metrics.FINDINGS.labels(finding.category, finding.level).inc()
    said[Verdict.PASS] = len(chunk.recipients) - said[Verdict.HOLD] - said[Verdict.BLOCK]
    for verdict, count in said.items():
        if count:
            metrics.MESSAGES.labels(lane.value, verdict.value).inc(count)
    if outcome.judged.demoted:
        metrics.DEMOTED.inc(len(outcome.judged.demoted))
        log.info("codes_demoted", chunk_id=chunk.chunk_id, enterprise=chunk.enterprise, n=len(outcome.judged.demoted))
