"""The producer: a batch is done when the broker has acknowledged all of it (acks=all, idempotent), or an exception says
it is not.

Faults that pass are ridden out by repeating what was not acknowledged, with back-off and for as long as the caller
waits; event ids make repeats harmless.  Verification codes go by a connection of their own: a node answers one produce
request at a time, and a code must not wait for a megabyte of bulk.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.codec import has_lz4
from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
    UnsupportedVersionError,
)
from aiokafka.partitioner import murmur2

from bus import metrics
from bus.records import Headers, lane_of
from contracts.envelope import Envelope, encode
from contracts.lanes import Lane
from servicekit.telemetry import current_traceparent

Outgoing: TypeAlias = tuple[str, Envelope[Any]]
"""(topic, event in its envelope)."""

MAX_RECORD_OCTETS = 1_000_000
"""Broker's `max.message.bytes` is 1 MiB with overhead; a chunk event has at most 256 kB."""

BATCH_OCTETS = 512 * 1024
REQUEST_TIMEOUT_MS = 10_000
"""A broker that is silent for so long is asked again, over a new connection; the idempotent producer drops what it had
already.
"""

START_S = 10.0
"""A connection made while a broker was just starting may know no broker at all, and would look for one for ever."""

STALLED_S = 30.0
"""A connection that acknowledges nothing for so long is given up: three requests that nobody answered."""

STOP_S = 5.0

SILENT_S = 5.0
"""A batch that waits longer for its acknowledgement is reported by `probe`; one takes 2 ms (p99 6 ms)."""

FATAL = (
    MessageSizeTooLargeError,
    InvalidTopicError,
    TopicAuthorizationFailedError,
    GroupAuthorizationFailedError,
    ClusterAuthorizationFailedError,
    AuthenticationFailedError,
    UnsupportedVersionError,
)

log = structlog.get_logger()


class PublishFailed(Exception):
    """Some of a batch is not acknowledged: refused for good, or not within the caller's time.  It may or may not arrive
    yet.
    """


@dataclass(frozen=True, slots=True)
class RawOutgoing:
    """A record as octets, for what is not an event of ours (dead letters, replays)."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Producer:
    """One per process; safe for any number of concurrent callers."""

    def __init__(self, bootstrap_servers: str, *, client_id: str) -> None:
        self._express = _Connection(bootstrap_servers, f"{client_id}-express")
        self._bulk = _Connection(bootstrap_servers, client_id)

    async def start(self) -> None:
        """Connect; waits with back-off until a broker answers."""
        await asyncio.gather(self._express.start(), self._bulk.start())

    def open(self) -> None:
        """Begin to connect and return at once: a service listens, and does what needs no broker, while that is away."""
        self._express.open()
        self._bulk.open()

    async def close(self) -> None:
        """Send what is pending and disconnect."""
        await asyncio.gather(self._express.close(), self._bulk.close())

    async def send_batch(
        self, events: Sequence[Outgoing], *, timeout_s: float | None = None, express: bool = False
    ) -> None:
        """Publish events and wait until the broker has acknowledged every one; ``express``: as quickly as codes, whatever the topic.

        An event without traceparent gets the current span's.  Raises `PublishFailed` when the broker refuses an event
        for good, or after ``timeout_s`` seconds; without it, outages are waited out for as long as they last.
        """
        traceparent = ""
        records = []
        for topic, envelope in events:
            parent = envelope.traceparent
            if not parent:
                parent = traceparent = traceparent or current_traceparent()
            headers = [("type", envelope.type.encode())]
            if parent:
                headers.append(("traceparent", parent.encode()))
            records.append(RawOutgoing(topic, envelope.key.encode(), encode(envelope), tuple(headers)))
        await self.send_raw(records, timeout_s=timeout_s, express=express)

    async def send_raw(
        self, records: Sequence[RawOutgoing], *, timeout_s: float | None = None, express: bool = False
    ) -> None:
        """Publish records as they are; otherwise like `send_batch`."""
        quick = [r for r in records if express or lane_of(r.topic) is Lane.VERIFICATION]
        bulk = [r for r in records if lane_of(r.topic) is not Lane.VERIFICATION] if len(quick) < len(records) else []
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        if not bulk or not quick:
            await (self._express if quick else self._bulk).send(quick or bulk, deadline)
            return
        both = (self._express.send(quick, deadline), self._bulk.send(bulk, deadline))
        for result in await asyncio.gather(*both, return_exceptions=True):
            if result is not None:
                raise result

    async def probe(self) -> str | None:
        """Say why publishing does not work at the moment (for `Health.check`)."""
        return self._bulk.complaint() or self._express.complaint()


class _Connection:
    """One aiokafka producer, replaced by a new one when it has failed."""

    def __init__(self, bootstrap_servers: str, client_id: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._client_id = client_id
        self._inner: AIOKafkaProducer | None = None
        self._retired: asyncio.Future[None] | None = None
        self._stops: set[asyncio.Task[None]] = set()
        self._waiting: dict[object, float] = {}
        self._renewing = asyncio.Lock()
        self._opening: asyncio.Task[None] | None = None
        self._closed = False
        self.trouble: str | None = None

    async def start(self) -> None:
        await self._renew(None)

    def open(self) -> None:
        self.trouble = "not connected to the broker yet"
        self._opening = asyncio.get_running_loop().create_task(self._renew(None), name=f"connect {self._client_id}")

    def complaint(self) -> str | None:
        """Say what is wrong: a fault, or silence (aiokafka repeats within itself for as long as a broker is away)."""
        waited = time.monotonic() - min(self._waiting.values(), default=time.monotonic())
        if self.trouble is None and waited > SILENT_S:
            return f"no acknowledgement from the broker for {waited:.0f} s"
        return self.trouble

    async def close(self) -> None:
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        inner, self._inner = self._inner, None
        if inner is not None:
            await inner.stop()

    async def send(self, records: Sequence[RawOutgoing], deadline: float | None) -> None:
        """Publish and wait; see `Producer.send_batch`."""
        if not records:
            return
        token, begun = object(), time.monotonic()
        self._waiting[token] = begun
        try:
            await self._send_all(records, deadline)
        finally:
            del self._waiting[token]
        express = str(self._client_id.endswith("-express")).lower()
        metrics.PRODUCE_SECONDS.labels(express).observe(time.monotonic() - begun)

    async def _send_all(self, records: Sequence[RawOutgoing], deadline: float | None) -> None:
        attempt = 0
        pending = list(records)
        await self._connected(deadline)
        while True:
            inner = self._inner
            retired = self._retired
            if inner is None or retired is None:
                raise PublishFailed("the producer is closed or was never started")
            pending, error = await _attempt(inner, pending, deadline, retired)
            if not pending:
                self.trouble = None
                break
            if isinstance(error, FATAL):
                raise PublishFailed(f"refused: {type(error).__name__}") from error
            attempt += 1
            self.trouble = f"broker does not acknowledge: {type(error).__name__}"
            metrics.PRODUCE_RETRIES.labels(type(error).__name__).inc()
            log.warning("publish_retry", attempt=attempt, records=len(pending), reason=type(error).__name__)
            pause = back_off(attempt)
            if deadline is not None and time.monotonic() + pause >= deadline:
                raise PublishFailed(f"not acknowledged in time: {type(error).__name__}") from error
            await asyncio.sleep(pause)
            await self._renew(inner)

    async def _connected(self, deadline: float | None) -> None:
        """Wait for the first connection where it is being made; raises `PublishFailed` when the caller's time ends before."""
        opening = self._opening
        if opening is None:
            return
        remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
        await asyncio.wait({opening}, timeout=remaining)
        if not opening.done():
            raise PublishFailed(f"not acknowledged in time: {self.trouble}")
        if not opening.cancelled():
            opening.result()  # a refusal that no waiting helps against
            self._opening = None

    async def _renew(self, failed: AIOKafkaProducer | None) -> None:
        """Replace ``failed``, whose sequence numbers are spent; once for all callers that saw it fail."""
        async with self._renewing:
            if self._closed or self._inner is not failed:
                return
            if failed is not None:
                # Others may still wait for acknowledgements of the failed one, which would never come.
                if self._retired is not None and not self._retired.done():
                    self._retired.set_result(None)
                # Stopping flushes, and there is nobody to flush to: not waited for.
                stop = asyncio.create_task(failed.stop())
                self._stops.add(stop)
                stop.add_done_callback(self._stops.discard)
            attempt = 0
            while not self._closed:
                inner = AIOKafkaProducer(
                    bootstrap_servers=self._bootstrap_servers,
                    client_id=self._client_id,
                    acks="all",
                    enable_idempotence=True,
                    linger_ms=0,
                    compression_type="lz4" if has_lz4() else None,
                    max_batch_size=BATCH_OCTETS,
                    max_request_size=MAX_RECORD_OCTETS,
                    request_timeout_ms=REQUEST_TIMEOUT_MS,
                    partitioner=_partition,
                )
                try:
                    async with asyncio.timeout(START_S):
                        await inner.start()
                except (KafkaError, TimeoutError) as error:
                    await _stopped(inner)
                    attempt += 1
                    self.trouble = f"broker cannot be reached: {type(error).__name__}"
                    log.warning("broker_waiting", attempt=attempt, reason=type(error).__name__)
                    await asyncio.sleep(back_off(attempt))
                except asyncio.CancelledError:
                    # The caller gave up; whoever comes next begins anew.
                    await inner.stop()
                    raise
                else:
                    self._inner, self._retired = inner, asyncio.get_running_loop().create_future()
                    self.trouble = None
                    return


async def _attempt(
    inner: AIOKafkaProducer, records: Sequence[RawOutgoing], deadline: float | None, retired: asyncio.Future[None]
) -> tuple[list[RawOutgoing], BaseException | None]:
    """Hand the records over once; return those not acknowledged, and one reason (a fatal one if there is any)."""
    handed: list[tuple[RawOutgoing, asyncio.Future[Any]]] = []
    failed: list[RawOutgoing] = []
    errors: list[BaseException] = []
    remaining = STALLED_S if deadline is None else min(STALLED_S, max(0.0, deadline - time.monotonic()))
    delivery = asyncio.create_task(_deliver(inner, records, handed, failed, errors))
    try:
        await asyncio.wait([delivery, retired], timeout=remaining, return_when=asyncio.FIRST_COMPLETED)
    finally:
        delivery.cancel()
    if delivery.done():
        delivery.result()
    elif len(handed) + len(failed) < len(records):
        # Handing over waits for metadata, and waits for ever in a producer that somebody else has given up.
        failed.extend(records[len(handed) + len(failed) :])
        errors.append(TimeoutError("not handed over in time"))
    for record, future in handed:
        if not future.done():
            # Still under way inside aiokafka; its result, whenever it comes, is nobody's any more.
            future.add_done_callback(_retrieve)
            failed.append(record)
            errors.append(TimeoutError("not acknowledged in time"))
        elif (fault := future.exception()) is not None:
            failed.append(record)
            errors.append(fault)
        else:
            metrics.PRODUCED.labels(record.topic).inc()
    reason = next((e for e in errors if isinstance(e, FATAL)), errors[0] if errors else None)
    return failed, reason


async def _stopped(inner: AIOKafkaProducer) -> None:
    """Stop a producer that is of no use; what it still waits for is left to itself."""
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_S):
            await inner.stop()


async def _deliver(
    inner: AIOKafkaProducer,
    records: Sequence[RawOutgoing],
    handed: list[tuple[RawOutgoing, asyncio.Future[Any]]],
    failed: list[RawOutgoing],
    errors: list[BaseException],
) -> None:
    """Hand the records over in order, each into one of the lists, and wait until all that were handed over have an answer."""
    for position, record in enumerate(records):
        try:
            future = await inner.send(record.topic, record.value, record.key, headers=list(record.headers))
        except KafkaError as error:
            failed.append(record)
            errors.append(error)
            if not isinstance(error, FATAL):
                # The buffer is full or the topic's leader unknown: the rest would only wait as long again.
                failed.extend(records[position + 1 :])
                break
        else:
            handed.append((record, future))
    if handed:
        await asyncio.wait([future for _, future in handed])


def back_off(attempt: int) -> float:
    """Return seconds to wait before the next attempt: 0.1 doubling to 2, with jitter."""
    return float(min(2.0, 0.1 * 2 ** min(attempt, 5)) * random.uniform(0.5, 1.0))


def _retrieve(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


@lru_cache(maxsize=65_536)
def _hash(key: bytes) -> int:
    # Kafka's own partitioner (DefaultPartitioner.java): murmur2 without its sign.  Some 10 us in Python, hence
    # remembered.
    return int(murmur2(key)) & 0x7FFFFFFF


def _partition(key: bytes | None, all_partitions: list[int], available: list[int]) -> int:
    """Choose by key over *all* partitions, so that equal keys meet in the same partition of every lane and stage."""
    if key is None:
        return random.choice(available or all_partitions)
    ordered = all_partitions if all_partitions == sorted(all_partitions) else sorted(all_partitions)
    return ordered[_hash(key) % len(ordered)]


__all__ = ["MAX_RECORD_OCTETS", "Outgoing", "Producer", "PublishFailed", "RawOutgoing", "back_off"]
