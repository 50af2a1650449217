"""Reading without a group: a topic from somewhere to its present end, or for ever in every process.

For state that is rebuilt from a co-partitioned topic (sender windows), for what every process must know (tariffs), and
for tools.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import KafkaError

from bus.producer import START_S, back_off
from bus.records import RawRecord, TopicPartition

FETCH_WAIT_MS = 250
"""A fetch that covers every partition of ours waits so long in the broker for the first record: it is answered at once when one
comes, so waiting costs no latency and saves the broker 46 of 50 empty answers a second and consumer.
"""

PARTIAL_FETCH_WAIT_MS = 20
"""A fetch that leaves paused partitions out waits no longer: when one of them is resumed meanwhile, it has to wait for this answer."""

MAX_PARTITION_FETCH_OCTETS = 1024 * 1024

log = structlog.get_logger()


def raw_of(message: Any) -> RawRecord:
    """Return aiokafka's record as ours."""
    return RawRecord(
        message.topic,
        message.partition,
        message.offset,
        message.timestamp,
        message.key,
        message.value,
        tuple(message.headers),
    )


async def connect(bootstrap_servers: str, **options: Any) -> AIOKafkaConsumer:
    """Return a started consumer without automatic commits; waits with back-off until a broker answers."""
    attempt = 0
    while True:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap_servers,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_partition_fetch_bytes=MAX_PARTITION_FETCH_OCTETS,
            **options,
        )
        try:
            async with asyncio.timeout(START_S):
                await consumer.start()
        except (KafkaError, TimeoutError) as error:
            with suppress(TimeoutError):
                async with asyncio.timeout(START_S):
                    await consumer.stop()
            if isinstance(error, KafkaError) and not error.retriable:
                raise
            attempt += 1
            log.warning("broker_waiting", attempt=attempt, reason=type(error).__name__)
            await asyncio.sleep(back_off(attempt))
        else:
            return consumer


def hurry(consumer: AIOKafkaConsumer, *, partial: bool) -> None:
    """Say whether the next fetch leaves partitions out (`PARTIAL_FETCH_WAIT_MS`)."""
    # aiokafka takes the wait at construction only, and reads this attribute for every request.
    consumer._fetcher._fetch_max_wait_ms = PARTIAL_FETCH_WAIT_MS if partial else FETCH_WAIT_MS  # noqa: SLF001


async def partitions_of(consumer: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    """Return a topic's partitions, empty when it does not exist."""
    metadata = await consumer._client.fetch_all_metadata()  # noqa: SLF001 - the public call knows subscribed topics only
    return [TopicPartition(topic, p) for p in sorted(metadata.partitions_for_topic(topic) or ())]


async def read_topic(bootstrap_servers: str, topic: str, *, since_ms: int | None = None) -> AsyncIterator[RawRecord]:
    """Yield every record of a topic up to its end as of now, in order per partition; from ``since_ms`` (Unix ms) on
    when given.
    """
    consumer = await connect(bootstrap_servers)
    try:
        wanted = await partitions_of(consumer, topic)
        async for record in _read(consumer, wanted, since_ms):
            yield record
    finally:
        await consumer.stop()


async def read_back(
    bootstrap_servers: str, topic: str, partitions: Iterable[int], since_ms: int
) -> AsyncIterator[RawRecord]:
    """Yield the records of some partitions produced since ``since_ms`` (Unix ms), up to their end as of the call."""
    consumer = await connect(bootstrap_servers)
    try:
        async for record in _read(consumer, [TopicPartition(topic, p) for p in partitions], since_ms):
            yield record
    finally:
        await consumer.stop()


async def _read(
    consumer: AIOKafkaConsumer, wanted: Sequence[TopicPartition], since_ms: int | None
) -> AsyncIterator[RawRecord]:
    if not wanted:
        return
    tps = [KafkaPartition(*tp) for tp in wanted]
    consumer.assign(tps)
    ends = await consumer.end_offsets(tps)
    starts = await _starts(consumer, tps, since_ms, ends)
    for tp in tps:
        consumer.seek(tp, starts[tp])
    open_ = {tp for tp in tps if starts[tp] < ends[tp]}
    while open_:
        for tp, messages in (await consumer.getmany(timeout_ms=500)).items():
            for message in messages:
                if message.offset < ends[tp]:
                    yield raw_of(message)
        # By position, not by the last record seen: markers and compacted records take offsets and are never handed
        # over.
        open_ = {tp for tp in open_ if await consumer.position(tp) < ends[tp]}


async def _starts(
    consumer: AIOKafkaConsumer, tps: list[KafkaPartition], since_ms: int | None, ends: dict[Any, int]
) -> dict[Any, int]:
    if since_ms is None:
        return dict(await consumer.beginning_offsets(tps))
    found = await consumer.offsets_for_times(dict.fromkeys(tps, since_ms))
    return {tp: found[tp].offset if found[tp] is not None else ends[tp] for tp in tps}


class Follower:
    """Gives every record of some topics to one callback, in every process, from the beginning (or a time) on, for ever.

    Nothing is committed: each start reads again.  A lifecycle component; `caught_up` says when the past has been read.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topics: Sequence[str],
        on_record: Callable[[RawRecord], Awaitable[None]],
        *,
        since_ms: int | None = None,
    ) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._topics = list(topics)
        self._on_record = on_record
        self._since_ms = since_ms
        self._stopping = asyncio.Event()
        self._caught_up = asyncio.Event()
        self._finished = asyncio.Event()

    async def caught_up(self) -> None:
        """Return when everything that stood in the topics at the start was given to the callback."""
        await self._caught_up.wait()

    async def probe(self) -> str | None:
        """Say that the past is still being read."""
        return None if self._caught_up.is_set() else f"still reading {', '.join(self._topics)}"

    async def run(self) -> None:
        """Read until `stop`."""
        consumer = await connect(self._bootstrap_servers)
        try:
            await self._follow(consumer)
        finally:
            await consumer.stop()
            self._finished.set()

    async def stop(self) -> None:
        """Stop reading."""
        self._stopping.set()
        await self._finished.wait()

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        tps = [KafkaPartition(*tp) for topic in self._topics for tp in await partitions_of(consumer, topic)]
        if len({tp.topic for tp in tps}) < len(self._topics):
            raise LookupError(f"a topic of {self._topics} does not exist; run `python -m bus.admin apply`")
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        starts = await _starts(consumer, tps, self._since_ms, ends)
        for tp in tps:
            consumer.seek(tp, starts[tp])
        behind = {tp for tp in tps if starts[tp] < ends[tp]}
        while not self._stopping.is_set():
            if not behind:
                self._caught_up.set()
            for messages in (await consumer.getmany(timeout_ms=200)).values():
                for message in messages:
                    await self._on_record(raw_of(message))
            behind = {tp for tp in behind if await consumer.position(tp) < ends[tp]}


def now_ms() -> int:
    """Return Unix time in milliseconds, for callers of `read_back` without a clock of their own (tools)."""
    return time.time_ns() // 1_000_000
