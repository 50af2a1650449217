"""Taking releases in: each once, by its release id, cut into items by link group and earliest time.

Dispatch submits nothing that is not a `ChunkReleased` recorded here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from bus.handling import Effect
from bus.records import Batch, Invalid, Record
from contracts.envelope import partition_key
from contracts.events.dispatch import CloseCause
from contracts.events.review import ChunkReleased
from contracts.ids import IdError, epoch_ms_of
from contracts.lanes import LANES, Lane
from dispatch import metrics
from dispatch.domain import outcomes
from dispatch.domain.outcomes import Outgoing
from dispatch.domain.routing import RouteTable
from dispatch.domain.work import Head, Release
from dispatch.handlers.claiming import pack
from dispatch.store import queue
from dispatch.store.outbox import insert_events
from servicekit.clock import Clock
from servicekit.database import Connection

MAX_KNOWN_PORTS = 100_000

PACE_S = 10e-6
"""Seconds of rest a message of bulk: 100,000 messages a second come in at most, several times what a worker sends, and a file of a
million does not take the process for itself while codes are on their way."""


class Taken:
    """What one batch brought in: for the fast paths after the commit."""

    def __init__(self) -> None:
        self.events: list[Outgoing] = []
        self.hints: set[tuple[str, int]] = set()
        self.releases: list[tuple[Release, int]] = []


class Intake:
    """Stateful handler of `review.released.<lane>`."""

    def __init__(
        self,
        *,
        clock: Clock,
        routes: Callable[[], RouteTable],
        on_taken: Callable[[Taken], None],
    ) -> None:
        """``on_taken`` is called after the commit, with what may be published and claimed."""
        self._clock = clock
        self._routes = routes
        self._on_taken = on_taken
        self._ports: dict[str, str] = {}

    async def effect(self, tx: Connection, batch: Batch) -> Effect:
        """Insert the releases of a batch, their items and the events that say so."""
        now_ms = self._clock.wall_ms()
        taken = Taken()
        items: list[tuple[str, str, int, queue.ItemRow]] = []
        invalid: list[Invalid] = []
        for record in batch:
            released: ChunkReleased = record.data
            if fault := _fault(released):
                invalid.append(Invalid(record, "unusable_release", fault))
                continue
            release, octets = await self._take(tx, record, released, now_ms)
            if release is None:
                continue
            taken.releases.append((release, octets))
            rows, events = self._cut(release, released.indices, now_ms)
            gone = await queue.cancelled(tx, [e.task_id for e in release.chunk.entries])
            for row in rows:
                row.sweep = bool(gone)
                items.append((release.head.release_id, release.head.ekey, release.head.lane, row))
                if row.not_before <= now_ms:
                    taken.hints.add((row.grp, release.head.lane))
            taken.events += events
        if items:
            await queue.insert_items(tx, items, now_ms)
        if taken.events:
            await insert_events(tx, taken.events, now_ms)
        await self._note_ports(tx, taken.releases, now_ms)
        return Effect(invalid=invalid, note=taken)

    async def committed(self, batch: Batch, effect: Effect) -> None:
        """Publish and wake at once; then leave the loop to the sessions for as long as taking bulk in kept it."""
        taken: Taken = effect.note
        self._on_taken(taken)
        if batch.lane is not Lane.VERIFICATION:
            messages = sum(len(release.chunk.recipients) for release, _ in taken.releases)
            await asyncio.sleep(messages * PACE_S)

    async def _take(
        self, tx: Connection, record: Record, released: ChunkReleased, now_ms: int
    ) -> tuple[Release | None, int]:
        chunk = released.chunk
        ekey = partition_key(chunk.tenant, chunk.enterprise)
        payload = pack(chunk)
        new = await queue.take_release(
            tx,
            (
                released.release_id,
                chunk.chunk_id,
                ekey,
                chunk.tenant,
                chunk.enterprise,
                chunk.lane.rank,
                sorted({e.task_id for e in chunk.entries}),
                payload,
                record.traceparent,
                now_ms,
            ),
        )
        if not new:
            return None, 0
        head = Head(
            released.release_id,
            chunk.chunk_id,
            chunk.tenant,
            chunk.enterprise,
            ekey,
            chunk.lane.rank,
            record.traceparent,
        )
        return Release(head, chunk), len(payload)

    def _cut(
        self, release: Release, indices: Sequence[int] | None, now_ms: int
    ) -> tuple[list[queue.ItemRow], list[Outgoing]]:
        """Return the items of a release and its events: queued, and closed for what has no route."""
        chunk, head = release.chunk, release.head
        rows: list[queue.ItemRow] = []
        events: list[Outgoing] = []
        part = head.release_id.rpartition(":")[2]
        for grp, members in self._routes().split(chunk.carriers, indices).items():
            if not grp:
                metrics.CLOSED.labels(CloseCause.NO_ROUTE.value).inc(len(members))
                closing = outcomes.closed(head, now_ms, members, CloseCause.NO_ROUTE)
                events.append(_event(head, closing, f"no-route-{part}", now_ms))
                continue
            for not_before, expires_at, chosen in _by_time(chunk.entries, members):
                rows.append(queue.ItemRow(grp, not_before, expires_at, chosen, sweep=False))
        for not_before in sorted({row.not_before for row in rows}):
            group = sorted(i for row in rows if row.not_before == not_before for i in row.indices)
            whole = group if len(group) < len(chunk.recipients) else None
            later = not_before if not_before > now_ms else 0
            event = outcomes.queued(head, now_ms, whole, later)
            events.append(_event(head, event, f"queued-{part}-{not_before}", now_ms))
            metrics.TAKEN_IN.labels(LANES[head.lane].value).inc(len(group))
        return rows, events

    async def _note_ports(self, tx: Connection, releases: Iterable[tuple[Release, int]], now_ms: int) -> None:
        """Remember whose a port is; only when that is news to this process."""
        rows = {}
        for release, _ in releases:
            head = release.head
            for entry in release.chunk.entries:
                if self._ports.get(entry.port) != head.ekey:
                    rows[entry.port] = (entry.port, head.ekey, head.tenant, head.enterprise, now_ms)
        if rows:
            await queue.note_ports(tx, [rows[port] for port in sorted(rows)])
            if len(self._ports) > MAX_KNOWN_PORTS:
                self._ports.clear()
            self._ports.update({port: row[1] for port, row in rows.items()})


def _event(head: Head, data: object, stage: str, now_ms: int) -> Outgoing:
    """Wrap an event whose outbox id is given when it is inserted; its event id is derived without it."""
    return outcomes.outcome(head, data, stage, 0, now_ms)


def _by_time(entries: Sequence[object], members: list[int]) -> Iterable[tuple[int, int, list[int]]]:
    """Yield (not before, latest end of validity, indices): messages that may go from the same moment on."""
    groups: dict[int, tuple[list[int], int]] = {}
    place = 0
    rows = [(e.first, e.first + e.count, e.not_before, e.expires_at) for e in entries]  # type: ignore[attr-defined]
    if len(rows) == 1:
        return [(rows[0][2], rows[0][3], members)]
    for index in members:
        while not rows[place][0] <= index < rows[place][1]:
            place = place + 1 if index >= rows[place][1] else 0
        _, _, not_before, expires_at = rows[place]
        chosen, latest = groups.get(not_before, ([], 0))
        chosen.append(index)
        groups[not_before] = (chosen, max(latest, expires_at))
    return [(not_before, latest, chosen) for not_before, (chosen, latest) in groups.items()]


def _fault(released: ChunkReleased) -> str:
    """Return why a release cannot be used, empty when it can: a malformed one must not stop its neighbours."""
    chunk = released.chunk
    try:
        epoch_ms_of(chunk.chunk_id)
    except IdError:
        return "chunk_id is no chunk id"
    n = len(chunk.recipients)
    if not n or len(chunk.carriers) != n:
        return "recipients and carriers differ in number"
    if n > 32_767:
        return "too many recipients"
    if not chunk.entries or sum(e.count for e in chunk.entries) != n:
        return "entries do not cover the recipients"
    at = 0
    for entry in chunk.entries:
        if entry.first != at or entry.count < 1:
            return "entries are not in order"
        if len(entry.pieces) != len(entry.slots) + 1 or (entry.slots and len(entry.variables) != entry.count):
            return "a content does not fit its variables"
        if entry.slots and any(len(row) <= max(entry.slots) for row in entry.variables):
            return "a recipient's variables are too few"
        at += entry.count
    if released.indices is not None:
        if any(not 0 <= i < n for i in released.indices):
            return "an index is outside the chunk"
        if len(set(released.indices)) != len(released.indices):
            return "an index is released twice"
    return ""
