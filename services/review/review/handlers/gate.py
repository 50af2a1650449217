"""Take screened chunks through the gate: one transaction per batch, then the releases and decisions it made are
published.

The gate row is the recorded decision.  A chunk that arrives again, after a crash between commit and publish or by a
sweeper, is
answered from its row with the same events under the same ids; nothing is counted twice.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import msgspec
import structlog

from bus.handling import Call, Effect
from bus.producer import Outgoing
from bus.records import Batch, Invalid, Record
from contracts import envelope, ids, topics
from contracts.chunk import Entry
from contracts.events.review import ChunkReleased, Decision, MessagesDecided
from contracts.events.spamfilter import ChunkScreened, Verdict
from contracts.lanes import Lane
from review import metrics
from review.domain import gate
from review.domain.clusters import Clusters
from review.domain.content import fingerprint, text_to_compare
from review.domain.gate import Count, Outcome, Sums, Way
from review.domain.hours import Hours
from review.domain.policy import Policies, Window
from review.handlers.holding import Holding, Piece
from review.store import gate as store
from review.store.policies import PolicyStore
from servicekit.clock import Clock
from servicekit.database import Connection

log = structlog.get_logger()

_CLUSTERS_KEPT = 1_000
"""Enterprises whose contents are kept in memory; the others are read again when they send."""

_CLUSTERS_FRESH_S = 30.0
"""After a partition moved away and back, contents another process saw meanwhile are missed for at most this long;
the same
text still meets in the database, because a cluster's number is its fingerprint."""

_encode = msgspec.json.Encoder().encode
_decode_decided = msgspec.json.Decoder(list[MessagesDecided]).decode


@dataclass(slots=True)
class _Seen:
    clusters: Clusters
    loaded: float


@dataclass(slots=True)
class _Work:
    """What one transaction gathers before it writes."""

    policies: Policies
    now: int
    origins: dict[tuple[str, int], tuple[str, str]] = field(default_factory=dict)
    """Lane of the topic and trace context of each event: what was demoted travels in another lane than its chunk
    says.
    """
    tasks: dict[str, Way] = field(default_factory=dict)
    new_ways: list[tuple[str, str, str, int]] = field(default_factory=list)
    rows: list[store.GateRow] = field(default_factory=list)
    added: dict[tuple[str, str, int, int], int] = field(default_factory=dict)
    clusters: dict[tuple[str, str, int], tuple[tuple[int, ...], int]] = field(default_factory=dict)
    held: list[Piece] = field(default_factory=list)


class Gate:
    """The consumer of ``spamfilter.screened.<lane>`` (offsets ``after_publish``): a call in SQL where every chunk of a batch plainly
    passes, the whole procedure where one may not.
    """

    def __init__(
        self,
        policies: PolicyStore,
        clock: Clock,
        hours: Hours,
        sending_window: Window,
        *,
        split_window_minutes: int,
        refuse_outside_hours: bool,
    ) -> None:
        """Take the rules that are settings; the rest comes from the policies in the database."""
        self._policies = policies
        self._clock = clock
        self._sending_window = sending_window
        self._window = split_window_minutes
        self._holding = Holding(hours, sending_window, refuse_outside_hours=refuse_outside_hours)
        self._seen: dict[tuple[str, str], _Seen] = {}

    async def effect(self, tx: Connection, batch: Batch) -> Effect:
        """Decide the batch inside the bus's transaction and return what is to be published."""
        begun = time.perf_counter()
        screened, invalid = _sort_out(batch)
        known = await store.known_rows(tx, list({event.chunk.chunk_id for _, event in screened}))
        if known:
            await store.offer_again(tx, list({chunk_id for chunk_id, _ in known}))
        work = _Work(await self._policies.current(tx), self._clock.wall_ms())
        fresh, answers = _undecided(screened, known)
        for record, answered in zip((record for record, _ in screened), answers, strict=True):
            for event in answered:
                origin = ((batch.lane or event.chunk.lane).value, record.traceparent)
                work.origins.setdefault((event.chunk.chunk_id, event.part), origin)
        try:
            await self._decide(tx, work, fresh)
        except BaseException:
            # The transaction will not commit, so contents remembered from it may not be in the database.
            self._seen.clear()
            raise
        known.update({(row.chunk_id, row.part): row for row in work.rows})
        publish: list[Outgoing] = []
        for event in (event for answered in answers for event in answered):
            key = (event.chunk.chunk_id, event.part)
            publish.extend(_events(event, known[key], *work.origins[key]))
        metrics.CHUNK_SECONDS.observe(time.perf_counter() - begun)
        return Effect(publish=publish, invalid=invalid)

    async def call(self, batch: Batch) -> Call | None:
        """Return the recording of a batch in which every chunk passes whole by the policies as last read; None where one may not."""
        begun = time.perf_counter()
        policies, now = self._policies.snapshot, self._clock.wall_ms()
        screened, invalid = _sort_out(batch)
        if policies is None or invalid:
            return None
        for _, event in screened:
            lane = batch.lane or event.chunk.lane
            if not gate.plainly_direct(event, lane, policies, now, self._sending_window):
                return None
        if len({event.chunk.chunk_id for _, event in screened}) < len(screened):
            return None

        def settle(_: object) -> Effect:
            publish: list[Outgoing] = []
            for record, event in screened:
                row = _passed(event, policies, now)
                publish += _events(event, row, (batch.lane or event.chunk.lane).value, record.traceparent)
                _count(event, Outcome(None))
            metrics.CHUNK_SECONDS.observe(time.perf_counter() - begun)
            return Effect(publish=publish)

        chunks = [event.chunk for _, event in screened]
        args = [policies.version, [chunk.chunk_id for chunk in chunks], [chunk.tenant for chunk in chunks], now]
        return Call(store.PLAINLY, args, settle)

    async def _decide(self, tx: Connection, work: _Work, events: list[ChunkScreened]) -> None:
        plain = {
            id(event)
            for event in events
            if gate.plainly_direct(event, _lane(work, event), work.policies, work.now, self._sending_window)
        }
        others = [event for event in events if id(event) not in plain]
        spanning = {e.task_id for s in others for e in s.chunk.entries if gate.spans_events(s, e)}
        if spanning:
            ways = await store.ways_of_tasks(tx, sorted(spanning))
            work.tasks.update({task: gate.WAYS[way] for task, way in ways.items()})
        contents = await self._contents(tx, work, others)
        sums = await self._sums(tx, others, contents)
        for event in events:
            if id(event) in plain:
                self._record(work, event, Outcome(None))
            else:
                self._divide(work, event, contents, sums)
        await self._write(tx, work)

    async def _contents(
        self, tx: Connection, work: _Work, events: list[ChunkScreened]
    ) -> dict[tuple[str, int, int], int]:
        """Return the cluster of every entry that adds up, by (chunk, part, entry position)."""
        found: dict[tuple[str, int, int], int] = {}
        for event in events:
            chunk = event.chunk
            counted = [
                (position, entry)
                for position, entry in enumerate(chunk.entries)
                if position not in event.code_entries
                and work.policies.counts(chunk.tenant, chunk.enterprise, work.policies.of(chunk.tenant, entry.port))
            ]
            if not counted:
                continue
            minute = chunk.accepted_at // 60_000
            clusters = await self._clusters(tx, chunk.tenant, chunk.enterprise, minute)
            for position, entry in counted:
                cluster, _ = clusters.assign(fingerprint(text_to_compare(entry)), minute)
                found[chunk.chunk_id, event.part, position] = cluster
                work.clusters[chunk.tenant, chunk.enterprise, cluster] = (clusters.sketch_of(cluster), minute)
        return found

    async def _clusters(self, tx: Connection, tenant: str, enterprise: str, minute: int) -> Clusters:
        seen = self._seen.get((tenant, enterprise))
        now = self._clock.monotonic()
        if seen is None or now - seen.loaded > _CLUSTERS_FRESH_S:
            if len(self._seen) >= _CLUSTERS_KEPT:
                self._seen.clear()
            rows = await store.clusters_of(tx, tenant, enterprise, minute - self._window)
            seen = self._seen[tenant, enterprise] = _Seen(Clusters(rows), now)
        return seen.clusters

    async def _sums(
        self, tx: Connection, events: list[ChunkScreened], contents: dict[tuple[str, int, int], int]
    ) -> Sums:
        keys = {
            (event.chunk.tenant, event.chunk.enterprise, contents[event.chunk.chunk_id, event.part, position])
            for event in events
            for position in range(len(event.chunk.entries))
            if (event.chunk.chunk_id, event.part, position) in contents
        }
        if not keys:
            return Sums(self._window, {})
        oldest = min(event.chunk.accepted_at for event in events) // 60_000 - self._window
        return Sums(self._window, await store.counts_of(tx, sorted(keys), oldest))

    def _divide(self, work: _Work, event: ChunkScreened, contents: dict[tuple[str, int, int], int], sums: Sums) -> None:
        chunk = event.chunk
        ways = []
        for position, entry in enumerate(chunk.entries):
            cluster = contents.get((chunk.chunk_id, event.part, position))
            ways.append(self._way(work, event, entry, cluster, sums))
        outcome = gate.divide(event, ways)
        for held in outcome.held:
            cluster = contents.get((chunk.chunk_id, event.part, held.entry))
            work.held.append(Piece(event, held, *work.origins[chunk.chunk_id, event.part], cluster))
        self._record(work, event, outcome)

    def _way(self, work: _Work, event: ChunkScreened, entry: Entry, cluster: int | None, sums: Sums) -> Way:
        standing = work.tasks.get(entry.task_id)
        if standing is not None:
            return standing
        chunk = event.chunk
        policy = work.policies.of(chunk.tenant, entry.port)
        total = None
        if cluster is not None:
            count = Count(chunk.tenant, chunk.enterprise, cluster, chunk.accepted_at // 60_000, entry.task_total)
            total = sums.add(count)
            key = (count.tenant, count.enterprise, count.cluster, count.minute)
            work.added[key] = work.added.get(key, 0) + count.messages
        threshold = work.policies.threshold_of(chunk.tenant, policy)
        timely = gate.in_window(entry, _lane(work, event), policy, threshold, work.now, self._sending_window)
        way = gate.way_of_task(entry, policy, threshold, total, timely=timely)
        if gate.spans_events(event, entry):
            work.tasks[entry.task_id] = way
            work.new_ways.append((entry.task_id, chunk.tenant, way.reason, work.now))
        return way

    def _record(self, work: _Work, event: ChunkScreened, outcome: Outcome) -> None:
        chunk = event.chunk
        decided = [
            MessagesDecided(chunk.chunk_id, decision, work.now, task_id, indices, reason)
            for decision, reason, task_id, indices in gate.told(outcome)
        ]
        if not decided and outcome.released is None:
            work.rows.append(_passed(event, work.policies, work.now))
            _count(event, outcome)
            return
        nothing = outcome.released == []
        row = store.GateRow(
            chunk.chunk_id,
            event.part,
            chunk.tenant,
            work.now,
            work.policies.version,
            None if nothing else outcome.released,
            nothing,
            _encode(decided) if decided else None,
            event.indices,
        )
        work.rows.append(row)
        _count(event, outcome)

    async def _write(self, tx: Connection, work: _Work) -> None:
        if work.rows:
            await store.insert_rows(tx, work.rows)
        if work.new_ways:
            await store.insert_ways(tx, work.new_ways)
        if work.added:
            await store.upsert_clusters(tx, ((*key, *value) for key, value in work.clusters.items()))
            await store.add_counts(tx, work.added)
        if work.held:
            await self._holding.file(tx, work.policies, work.now, work.held)


def _passed(event: ChunkScreened, policies: Policies, now: int) -> store.GateRow:
    """Return the decision that all of a screened chunk passes."""
    chunk = event.chunk
    return store.GateRow(
        chunk.chunk_id, event.part, chunk.tenant, now, policies.version, None, False, None, event.indices
    )


def _lane(work: _Work, event: ChunkScreened) -> Lane:
    return Lane(work.origins[event.chunk.chunk_id, event.part][0])


def _sort_out(batch: Batch) -> tuple[list[tuple[Record, ChunkScreened]], list[Invalid]]:
    valid: list[tuple[Record, ChunkScreened]] = []
    invalid: list[Invalid] = []
    for record in batch.records:
        event = record.envelope.data
        if not isinstance(event, ChunkScreened):
            invalid.append(Invalid(record, "unexpected_type", f"{record.envelope.type} does not belong in this topic"))
        elif (why := _inconsistent(event)) is not None:
            invalid.append(Invalid(record, "inconsistent", why))
        else:
            valid.append((record, event))
    return valid, invalid


def _inconsistent(event: ChunkScreened) -> str | None:
    chunk = event.chunk
    size = len(chunk.recipients)
    if len(chunk.carriers) != size:
        return "carriers and recipients differ in length"
    expected = 0
    for entry in chunk.entries:
        if entry.first != expected or entry.count < 1 or not entry.pieces:
            return "entries do not cover the chunk in order"
        if len(entry.slots) != len(entry.pieces) - 1 or (entry.slots and len(entry.variables) != entry.count):
            return "an entry's pieces, slots and variables do not fit"
        expected += entry.count
    if expected != size or size == 0:
        return "entries do not cover the chunk"
    if event.indices is not None and any(not 0 <= index < size for index in event.indices):
        return "an index lies outside the chunk"
    if not 0 <= event.part < 100:
        return "part out of range"
    return None


REST = 50
"""Parts from here on are ours: messages a repeated part names beside those it named when it was decided."""


def _undecided(
    screened: list[tuple[Record, ChunkScreened]], known: dict[store.Key, store.GateRow]
) -> tuple[list[ChunkScreened], list[list[ChunkScreened]]]:
    """Return what has to be decided, and for every event those whose rows answer it.

    A message is decided once: a chunk that is screened again after a change of the rules may be cut into other parts than before,
    and what an earlier row covers is taken out of it.
    """
    rows: dict[str, dict[int, set[int] | None]] = {}
    for (chunk_id, part), row in known.items():
        rows.setdefault(chunk_id, {})[part] = None if row.covers is None else set(row.covers)
    fresh: list[ChunkScreened] = []
    answers: list[list[ChunkScreened]] = []
    for _, event in screened:
        parts = rows.setdefault(event.chunk.chunk_id, {})
        answered = [msgspec.structs.replace(event, part=part) for part in parts if part == event.part or part >= REST]
        left = _left(event, list(parts.values()))
        if left is None or left:
            number = event.part if event.part not in parts else max(REST, *(part + 1 for part in parts))
            rest = (
                event
                if number == event.part and left == event.indices
                else msgspec.structs.replace(event, part=number, indices=left)
            )
            parts[number] = None if left is None else set(left)
            fresh.append(rest)
            answered.append(rest)
        answers.append(answered)
    return fresh, answers


def _left(event: ChunkScreened, covered: list[set[int] | None]) -> list[int] | None:
    """Return the event's messages that no row covers; None is all of its chunk."""
    if not covered:
        return event.indices
    if None in covered:
        return []
    done = set().union(*(part for part in covered if part is not None))
    every = range(len(event.chunk.recipients)) if event.indices is None else event.indices
    return [index for index in every if index not in done]


def _events(event: ChunkScreened, row: store.GateRow, lane: str, traceparent: str) -> list[Outgoing]:
    """Return the events a gate row stands for: the same ones each time."""
    chunk = event.chunk
    made: list[Outgoing] = []
    head = {
        "key": envelope.partition_key(chunk.tenant, chunk.enterprise),
        "tenant": chunk.tenant,
        "traceparent": traceparent,
    }
    if not row.nothing:
        label = ids.event_id(chunk.chunk_id, "released", row.part)
        released = ChunkReleased(label, chunk, row.decided_at, "direct", row.released)
        made.append(
            (
                topics.lane_topic(topics.RELEASED, lane),
                envelope.wrap(released, id=label, occurred_at=row.decided_at, **head),
            )
        )
    topic = topics.lane_topic(topics.DECIDED, lane)
    decided = [] if row.decided is None else _decode_decided(row.decided)
    if not row.nothing:
        decided.insert(
            0, MessagesDecided(chunk.chunk_id, Decision.RELEASED, row.decided_at, indices=row.released, reason="direct")
        )
    for number, fact in enumerate(decided):
        label = ids.event_id(chunk.chunk_id, "decided", f"{row.part}.{number}")
        made.append((topic, envelope.wrap(fact, id=label, occurred_at=row.decided_at, **head)))
    return made


def _count(event: ChunkScreened, outcome: Outcome) -> None:
    lane = event.chunk.lane.value
    size = len(event.chunk.recipients)
    if event.indices is not None:
        size = len(event.indices)
    held = sum(len(part.indices) for part in outcome.held)
    refused = sum(len(part.indices) for part in outcome.refused)
    direct = size if outcome.released is None else len(outcome.released)
    blocked = sum(j.count for j in event.judgements if j.verdict is Verdict.BLOCK)
    for way, number in (("direct", direct), ("held", held), ("refused", refused), ("blocked", blocked)):
        if number:
            metrics.MESSAGES.labels(lane, way).inc(number)
