"""The consumer: fetches into a bounded queue of its own, handles by strict priority, and survives rebalances without
trusting them.

Found by measuring (architecture.md, "Events"): `getmany` is always drained whole, never with ``max_records``;
partitions are paused by the size of our queue; while one is, a fetch waits 20 ms at most.  aiokafka swallows exceptions of rebalance
listeners and rebalances eagerly, so the listeners only close a gate and take notes; everything else happens in tasks of
our own, whose faults end the process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError

from bus import metrics
from bus.courtesy import Courtesy
from bus.deadletters import DeadLetterSink
from bus.decoding import decode_batch, running
from bus.handling import CallingHandler, Effect, OffsetMode, StatefulHandler, StatelessHandler
from bus.intake import Intake, Limits, Partition
from bus.offsets import Fenced
from bus.predecessor import Predecessor
from bus.producer import Producer
from bus.records import Batch, Busy, RawRecord, TopicPartition, lane_of, rank_of
from bus.replay import connect, hurry, raw_of
from bus.strategies import Ends, InDatabase, InKafka, Strategy
from contracts.lanes import Lane
from servicekit.database import Database, DatabaseUnavailable

SETTLE_INTERVAL_S = 0.25
"""Offsets follow so often: a commit costs 0.15 ms of client and 0.5 ms of broker, so a few a second."""

REPORT_INTERVAL_S = 2.0
"""Offsets kept in the database are told to Kafka so often, for its lag tools only."""

DRAIN_S = 20.0
"""A batch in hand gets so long to finish before a rebalance goes on without it; the group waits 30 s for us."""

SESSION_TIMEOUT_MS = 10_000
"""The partitions of a member that was killed, and whose process is not started again, wait so long for their next owner.
Shorter ones make a machine that is short of CPU for a while rebalance all the time.
"""

SILENT_S = 10.0
STUCK_S = 60.0

Hook = Callable[[Sequence[TopicPartition]], Awaitable[None]]

log = structlog.get_logger()


class Consumer:
    """One member of a consumer group over some topics; a lifecycle component.

    ``group`` is `<service>` or `<service>.<purpose>` with the service's name in `contracts.topics.SERVICES`; its dead
    letters go to `<service>.dlq`.  Topics of several lanes in one consumer are handled by strict priority.
    """

    def __init__(
        self,
        *,
        bootstrap_servers: str,
        group: str,
        topics: Sequence[str],
        handler: StatelessHandler | StatefulHandler | CallingHandler,
        producer: Producer,
        database: Database | None = None,
        offsets: OffsetMode = "with_effect",
        limits: Limits | None = None,
        overlap_lanes: bool = False,
        on_assigned: Hook | None = None,
        on_revoked: Hook | None = None,
        instance: str = "",
        state_dir: Path | None = None,
        dead_letter_cap: int = 100,
        service: str = "",
        code_target_s: float = 0.0,
    ) -> None:
        """See the fields of the same names in `bus.handling` and `bus.intake`.

        ``overlap_lanes``: a batch of a better lane may begin while one of a worse lane awaits I/O; for handlers that
        keep nothing in memory across awaits.  Without it a code waits for at most one batch.  ``on_assigned`` is
        awaited before the first record of an assignment (rebuild state there), ``on_revoked`` after the last.
        ``service`` names the dead letter topic where the group does not.  ``state_dir`` is the process's own directory, by which
        one that was killed is known to the next (`bus.predecessor`).  ``code_target_s`` is what a verification code may take from its
        production until its effect is complete, beyond which other classes rest between their batches (`bus.courtesy`).
        """
        self.group = group
        self._bootstrap_servers = bootstrap_servers
        self._topics = list(topics)
        self._instance = instance
        self._predecessor = Predecessor(state_dir, group, instance)
        limits = limits or Limits()
        self._intake = Intake(limits)
        sink = DeadLetterSink(
            producer, group, service or group.partition(".")[0], cap=dead_letter_cap, instance=instance
        )
        self._strategy: Strategy
        if isinstance(handler, (StatefulHandler, CallingHandler)):
            if database is None:
                raise TypeError("a stateful handler needs a database")
            self._strategy = InDatabase(handler, sink, database=database, producer=producer, group=group, mode=offsets)
        else:
            self._strategy = InKafka(handler, sink)
        ranks = sorted({rank_of(topic) for topic in topics})
        self._tracks = [frozenset([rank]) for rank in ranks] if overlap_lanes else [frozenset(ranks)]
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._kafka: AIOKafkaConsumer | None = None
        self._gate = asyncio.Event()
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._finished = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._wakes = [asyncio.Event() for _ in self._tracks]
        self._generation = 0
        self._assigned: list[TopicPartition] = []
        self._in_hand: dict[int, float] = {}
        self._blocked: dict[int, tuple[float, str]] = {}
        self._resting: dict[int, float] = {}
        # What a code waits here to be gathered, and half of that again between two fetches, is not slowness.
        self._courtesy = Courtesy(1.5 * limits.gather_codes_s + code_target_s if code_target_s else 0.0)
        self._busy_since: float | None = None
        self._joined_at = time.monotonic()
        self._failure: Exception | None = None

    # -- life

    async def run(self) -> None:
        """Consume until `stop`; raises whatever must end the process."""
        self._kafka = kafka = await connect(
            self._bootstrap_servers,
            client_id=self._instance or self.group,
            group_id=self.group,
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=SESSION_TIMEOUT_MS // 5,
            rebalance_timeout_ms=30_000,
            max_poll_interval_ms=600_000,
            request_timeout_ms=20_000,
            retry_backoff_ms=200,
            metadata_max_age_ms=30_000,
        )
        await self._predecessor.leave(kafka)
        kafka.subscribe(self._topics, listener=_Listener(self))
        tasks = [
            asyncio.create_task(self._fetch(kafka), name=f"{self.group} fetch"),
            asyncio.create_task(self._report(kafka), name=f"{self.group} report"),
            *(
                asyncio.create_task(self._work(kafka, track, wake), name=f"{self.group} work {sorted(track)}")
                for track, wake in zip(self._tracks, self._wakes, strict=True)
            ),
        ]
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
            failed = [task for task in tasks if task.done()]
            if not failed:
                await self._leave(kafka)
        finally:
            stopping.cancel()
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            await self._disconnect(kafka)
            self._finished.set()
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                raise result
        if self._failure is not None:
            raise self._failure

    async def stop(self) -> None:
        """Take nothing new, finish the batch in hand, store its offset, leave the group."""
        self._stopping.set()
        if self._kafka is not None:
            await self._finished.wait()

    async def probe(self) -> str | None:
        """Say why this consumer is not doing its work, None when it is (for `Health.check`)."""
        now = time.monotonic()
        if not self._gate.is_set():
            return f"no assignment for {now - self._joined_at:.0f} s"
        if self._in_hand and now - min(self._in_hand.values()) > STUCK_S:
            return f"a batch has been in hand for {now - min(self._in_hand.values()):.0f} s"
        if self._busy_since is not None and now - self._busy_since > SILENT_S:
            reasons = sorted({reason for _, reason in self._blocked.values()})
            return f"back-pressure for {now - self._busy_since:.0f} s: {'; '.join(reasons)}"
        silent = self._silent_for()
        return f"no answer from the broker for {silent:.0f} s" if silent > SILENT_S else None

    def lag(self) -> dict[TopicPartition, int]:
        """Return, for the assigned partitions whose end is known, how many records are not complete."""
        found: dict[TopicPartition, int] = {}
        if self._kafka is None:
            return found
        for partition in self._intake.partitions.values():
            with suppress(AssertionError):  # aiokafka asserts that the partition is still assigned
                end = self._kafka.highwater(KafkaPartition(*partition.tp))
                if end is not None:
                    found[partition.tp] = max(0, end - partition.done)
        return found

    async def _leave(self, kafka: AIOKafkaConsumer) -> None:
        self._gate.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await self._idle.wait()
        await self._settle_all(kafka)

    async def _disconnect(self, kafka: AIOKafkaConsumer) -> None:
        # Leaving needs the coordinator; without one there is nobody to tell, and the session times out by itself.
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await kafka.stop()
            self._predecessor.forget()

    # -- fetching

    async def _fetch(self, kafka: AIOKafkaConsumer) -> None:
        while True:
            if self._changed.is_set():
                await self._prepare(kafka)
            generation = self._generation
            fetched = await kafka.getmany(timeout_ms=200)
            if generation != self._generation:
                # The assignment changed meanwhile; `_prepare` seeks every partition, so nothing is lost by dropping
                # these.
                continue
            now = time.monotonic()
            for tp, messages in fetched.items():
                if self._intake.offer(TopicPartition(*tp), [raw_of(m) for m in messages], now):
                    with suppress(IllegalStateError):
                        kafka.pause(tp)
            # Nothing was awaited since the drain, so this is in time for the next fetch.
            hurry(kafka, partial=self._intake.any_paused())
            if fetched:
                self._wake()
                # Who gathers anyway asks the broker less often; nothing is fetched while what came is unread.
                await asyncio.sleep(self._intake.limits.gather_codes_s / 2)

    async def _prepare(self, kafka: AIOKafkaConsumer) -> None:
        """Begin a new assignment: find positions, rebuild state, seek, open the gate."""
        self._changed.clear()
        generation, tps = self._generation, list(self._assigned)
        positions = await self._strategy.positions(kafka, tps) if tps else {}
        if generation == self._generation and tps and self._on_assigned is not None:
            await self._on_assigned(tps)
        if generation != self._generation:
            return
        try:
            for tp, position in positions.items():
                kafka.seek(KafkaPartition(*tp), position.start)
        except IllegalStateError:
            # Taken away again; its own notice is on the way.
            return
        self._intake.assign({tp: p.start for tp, p in positions.items()})
        for tp, position in positions.items():
            self._intake.partitions[tp].stored = position.stored
        self._blocked.clear()
        self._busy_since = None
        metrics.REBALANCES.labels(self.group).inc()
        metrics.ASSIGNED.labels(self.group).set(len(tps))
        log.info("partitions_assigned", group=self.group, partitions=len(tps), generation=generation)
        self._gate.set()
        self._wake()

    # -- rebalancing (called by the listener)

    async def _revoked(self, kafka: AIOKafkaConsumer) -> None:
        self._gate.clear()
        self._joined_at = time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await self._idle.wait()
        self._generation += 1
        if self._intake.partitions:
            await self._settle_all(kafka)
            if self._on_revoked is not None:
                await self._on_revoked(list(self._intake.partitions))
        for tp in self._intake.partitions:
            with suppress(KeyError):
                metrics.LAG.remove(self.group, tp.topic, str(tp.partition))
        self._intake.clear()

    def _fail(self, error: Exception) -> None:
        self._failure = error
        self._stopping.set()

    def _received(self, assigned: Sequence[TopicPartition]) -> None:
        self._generation += 1
        if self._kafka is not None:
            self._predecessor.joined(self._kafka)
        self._assigned = sorted(assigned)
        self._changed.set()

    # -- handling

    async def _work(self, kafka: AIOKafkaConsumer, track: frozenset[int], wake: asyncio.Event) -> None:
        while True:
            await self._gate.wait()
            wake.clear()
            now = time.monotonic()
            ripe, later = self._intake.ripe(now)
            raws = self._intake.take(self._allowed(track, ripe, now))
            if raws:
                await self._handle(kafka, raws)
                continue
            try:
                async with asyncio.timeout(self._patience(track, later, now)):
                    await wake.wait()
            except TimeoutError:
                await self._settle_track(kafka, track)

    def _allowed(self, track: frozenset[int], ripe: set[int], now: float) -> set[int]:
        """Return the ranks a track may take from now: not put back a moment ago, and with nothing better waiting
        elsewhere.
        """
        free = {
            rank for rank in ripe if max(self._blocked.get(rank, (0.0, ""))[0], self._resting.get(rank, 0.0)) <= now
        }
        return {rank for rank in free if rank in track and rank <= min(free)}

    def _patience(self, track: frozenset[int], later: float, now: float) -> float:
        until = [later, *(t for rank, (t, _) in self._blocked.items() if rank in track)]
        until += [t for rank, t in self._resting.items() if rank in track]
        return max(0.001, min([SETTLE_INTERVAL_S, *(t - now for t in until if t > now)]))

    async def _handle(self, kafka: AIOKafkaConsumer, raws: list[RawRecord]) -> None:
        """Take one batch through to one of its three outcomes."""
        topic, rank = raws[0].topic, rank_of(raws[0].topic)
        owners = {raw.tp: self._intake.partitions[raw.tp] for raw in raws}
        begun = time.monotonic()
        self._in_hand[rank] = begun
        self._idle.clear()
        try:
            await self._apply(raws, owners)
        except Busy as busy:
            self._put_back(raws, owners, busy)
        except Fenced as fenced:
            metrics.FENCED.labels(self.group, topic).inc()
            log.warning("batch_fenced", group=self.group, topic=topic, records=len(raws), reason=str(fenced))
            await self._reread(kafka, [p.tp for p in self._intake.partitions.values() if p.rank == rank])
        else:
            self._blocked.pop(rank, None)
            now = time.monotonic()
            if rank:
                self._resting[rank] = now + self._courtesy.rest(now)
            elif lane_of(topic) is Lane.VERIFICATION:
                self._courtesy.code(max(0.0, time.time() - raws[0].timestamp_ms / 1_000), now)
            self._busy_since = None if not self._blocked else self._busy_since
            metrics.CONSUMED.labels(self.group, topic).inc(len(raws))
            metrics.BATCH_SECONDS.labels(self.group, topic).observe(time.monotonic() - begun)
        finally:
            self._hand_over(rank)
            self._resume(kafka)
            self._wake()

    async def _apply(self, raws: list[RawRecord], owners: dict[TopicPartition, Partition]) -> None:
        topic = raws[0].topic
        metrics.WAIT_SECONDS.labels(self.group, topic).observe(max(0.0, time.time() - raws[0].timestamp_ms / 1_000))
        decoded = decode_batch(self.group, raws)
        batch = Batch(topic, lane_of(topic), decoded.records) if decoded.records else None
        rank = rank_of(topic)
        peers = [p for p in self._intake.partitions.values() if p.rank == rank]
        ends = Ends({raw.tp: raw.offset + 1 for raw in raws}, owners, peers)
        with running(decoded.spans):
            await self._strategy.apply(batch, decoded.invalid, ends)

    def _put_back(self, raws: list[RawRecord], owners: dict[TopicPartition, Partition], busy: Busy) -> None:
        topic, rank = raws[0].topic, rank_of(raws[0].topic)
        metrics.BUSY.labels(self.group, topic).inc()
        now = time.monotonic()
        if rank not in self._blocked:
            log.warning("back_pressure", group=self.group, topic=topic, reason=str(busy))
        self._blocked[rank] = (now + busy.retry_after_s, str(busy))
        if self._busy_since is None:
            self._busy_since = now
        self._intake.put_back(raws, owners)

    async def _reread(self, kafka: AIOKafkaConsumer, tps: list[TopicPartition]) -> None:
        """After having been fenced: go where the stored offsets are, if the partitions are still ours."""
        assert isinstance(self._strategy, InDatabase)
        generation = self._generation
        stored = await self._strategy.reread(tps)
        for tp, offset in stored.items():
            if generation == self._generation and tp in self._intake.partitions:
                with suppress(IllegalStateError):
                    kafka.seek(KafkaPartition(*tp), offset)
                    self._intake.rewind(tp, offset)

    def _resume(self, kafka: AIOKafkaConsumer) -> None:
        for tp in self._intake.resumable():
            with suppress(IllegalStateError):
                kafka.resume(KafkaPartition(*tp))

    def _wake(self) -> None:
        for wake in self._wakes:
            wake.set()

    # -- offsets and figures

    async def _settle_track(self, kafka: AIOKafkaConsumer, track: frozenset[int]) -> None:
        """At idle: store what was published since the last transaction."""
        mine = [p for p in self._intake.partitions.values() if p.rank in track]
        if not self._gate.is_set() or all(p.stored == p.done for p in mine):
            return
        # Counted as work in hand, so that a rebalance waits for it and does not store the same offsets beside it.
        rank = min(track)
        self._in_hand[rank] = time.monotonic()
        self._idle.clear()
        try:
            await self._strategy.settle(mine)
        except Fenced as fenced:
            log.warning("offset_fenced", group=self.group, reason=str(fenced))
            await self._reread(kafka, [p.tp for p in mine])
        except DatabaseUnavailable as error:
            log.warning("offset_not_stored", group=self.group, reason=str(error))
        finally:
            self._hand_over(rank)

    def _hand_over(self, rank: int) -> None:
        del self._in_hand[rank]
        if not self._in_hand:
            self._idle.set()

    async def _settle_all(self, kafka: AIOKafkaConsumer) -> None:
        """Store and commit everything that is complete; what cannot be stored now is redelivered, which is harmless."""
        try:
            async with asyncio.timeout(5):
                await self._strategy.settle(self._intake.partitions.values())
            async with asyncio.timeout(5):
                await self._commit(kafka)
        except (Fenced, DatabaseUnavailable, TimeoutError) as error:
            log.warning("offsets_left_behind", group=self.group, reason=type(error).__name__)

    async def _commit(self, kafka: AIOKafkaConsumer) -> None:
        changed = [p for p in self._intake.partitions.values() if p.reported != p.done]
        if not changed:
            return
        positions = {KafkaPartition(*p.tp): p.done for p in changed}
        try:
            await kafka.commit(positions)
        except KafkaError as error:
            # A rebalance is under way or the broker is away: committed later, or the records come again.
            log.info("commit_refused", group=self.group, reason=type(error).__name__)
            return
        for partition in changed:
            partition.reported = positions[KafkaPartition(*partition.tp)]

    async def _report(self, kafka: AIOKafkaConsumer) -> None:
        """Commit to Kafka and publish figures, for ever."""
        interval = SETTLE_INTERVAL_S if isinstance(self._strategy, InKafka) else REPORT_INTERVAL_S
        shown = 0.0
        while True:
            await asyncio.sleep(interval)
            if self._gate.is_set():
                await self._commit(kafka)
            if time.monotonic() - shown >= 1.0:
                shown = time.monotonic()
                self._show()

    def _show(self) -> None:
        metrics.REST_SECONDS.labels(self.group).set(self._courtesy.rest(time.monotonic()))
        queued = dict.fromkeys(self._topics, 0)
        for partition in self._intake.partitions.values():
            queued[partition.tp.topic] = queued.get(partition.tp.topic, 0) + len(partition.queue)
        for topic, records in queued.items():
            metrics.QUEUED.labels(self.group, topic).set(records)
        for tp, lag in self.lag().items():
            metrics.LAG.labels(self.group, tp.topic, str(tp.partition)).set(lag)

    def _silent_for(self) -> float:
        """Return seconds since the broker last answered a fetch of any running partition; 0 when none should be
        fetched.
        """
        if self._kafka is None:
            return 0.0
        answered = []
        for partition in self._intake.partitions.values():
            if partition.paused:
                return 0.0
            with suppress(AssertionError):
                at = self._kafka.last_poll_timestamp(KafkaPartition(*partition.tp))
                answered.append(at or 0)
        newest = max(answered, default=0)
        return max(0.0, time.time() - newest / 1_000) if newest else 0.0


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """aiokafka's view of the consumer; never raises, since what it raises is swallowed."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: set[KafkaPartition]) -> None:
        """Finish, store and let go."""
        kafka = self._consumer._kafka  # noqa: SLF001 - one concept in two classes, because aiokafka wants a listener object
        if kafka is None:
            return
        try:
            await self._consumer._revoked(kafka)  # noqa: SLF001
        except Exception as error:  # noqa: BLE001 - carried out of aiokafka, which would only log it, and raised by `run`
            self._consumer._fail(error)  # noqa: SLF001

    def on_partitions_assigned(self, assigned: set[KafkaPartition]) -> None:
        """Take note; the fetching task does the rest."""
        self._consumer._received([TopicPartition(*tp) for tp in assigned])  # noqa: SLF001


__all__ = ["Batch", "Consumer", "Effect", "Limits", "StatefulHandler", "StatelessHandler"]
