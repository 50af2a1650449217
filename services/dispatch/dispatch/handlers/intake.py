"""Taking releases in: each once, by its release id, cut into items by link group and earliest time.

Dispatch submits nothing that is not a `ChunkReleased` recorded here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import asyncpg

from bus.handling import Call, Effect
from bus.records import Batch, Invalid, Record
from contracts.envelope import partition_key
from contracts.events.dispatch import CloseCause, MessagesClosed
from contracts.events.review import ChunkReleased
from contracts.ids import IdError, epoch_ms_of
from contracts.lanes import LANES
from dispatch import metrics
from dispatch.domain import outcomes
from dispatch.domain.outcomes import Outgoing
from dispatch.domain.routing import RouteTable
from dispatch.domain.work import Head, Release
from dispatch.handlers.claiming import VERIFICATION, pack
from dispatch.store import arrivals
from dispatch.store.arrivals import Arrivals, Item, Place
from servicekit.clock import Clock

MAX_KNOWN_PORTS = 100_000


class Taken:
    """What one batch brought in: for the fast paths after the commit."""

    def __init__(self) -> None:
        self.events: list[Outgoing] = []
        self.hints: set[tuple[str, int]] = set()
        self.releases: list[tuple[Release, int]] = []
        """With the octets of their payloads."""
        self.claimed: list[tuple[int, Item, Place, Release]] = []
        """Items that are this worker's already, by id."""


class Intake:
    """Handler of `review.released.<lane>` whose effect is one statement (`bus.handling.CallingHandler`)."""

    def __init__(
        self,
        *,
        clock: Clock,
        routes: Callable[[], RouteTable],
        on_taken: Callable[[Taken], None],
        place_of: Callable[[str], Place | None] = lambda _: None,
        lost_sight: Callable[[], None] = lambda: None,
    ) -> None:
        """``on_taken`` is called after the commit, with what may be published and claimed; ``place_of`` says where a code of a group
        may go at once, and is taken for with its intake; ``lost_sight`` is called when nobody knows whether that happened.
        """
        self._clock = clock
        self._routes = routes
        self._on_taken = on_taken
        self._place_of = place_of
        self._lost_sight = lost_sight
        self._ports: dict[str, str] = {}

    async def call(self, batch: Batch) -> Call:
        """Return the statement that inserts the releases of a batch, their items and the events that say so."""
        now_ms = self._clock.wall_ms()
        found = Arrivals()
        releases: list[tuple[Release, int]] = []
        invalid: list[Invalid] = []
        seen: set[str] = set()
        for record in batch:
            released: ChunkReleased = record.data
            if fault := _fault(released):
                invalid.append(Invalid(record, "unusable_release", fault))
            elif released.release_id not in seen:
                seen.add(released.release_id)
                releases.append(self._add(found, record, released, now_ms))
        found.ports = self._new_ports(release for release, _ in releases)

        def settle(row: asyncpg.Record) -> Effect:
            self._known_ports(found.ports)
            return Effect(note=_taken(found, releases, row, now_ms))

        return Call(arrivals.CALL, found.args(now_ms), settle, invalid, self._lost_sight)

    async def committed(self, batch: Batch, effect: Effect) -> None:
        """Publish and wake at once."""
        taken: Taken = effect.note
        self._on_taken(taken)

    def _add(self, found: Arrivals, record: Record, released: ChunkReleased, now_ms: int) -> tuple[Release, int]:
        chunk = released.chunk
        ekey = partition_key(chunk.tenant, chunk.enterprise)
        payload = pack(chunk)
        head = Head(
            released.release_id,
            chunk.chunk_id,
            chunk.tenant,
            chunk.enterprise,
            ekey,
            chunk.lane.rank,
            record.traceparent,
        )
        release = Release(head, chunk)
        place = found.release(head, sorted({e.task_id for e in chunk.entries}), payload)
        items, events = self._cut(release, released.indices, now_ms)
        found.items += [(place, item) for item in items]
        found.events += [(place, event) for event in events]
        return release, len(payload)

    def _cut(self, release: Release, indices: Sequence[int] | None, now_ms: int) -> tuple[list[Item], list[Outgoing]]:
        """Return the items of a release and its events: queued, and closed for what has no route."""
        chunk, head = release.chunk, release.head
        rows: list[Item] = []
        events: list[Outgoing] = []
        part = head.release_id.rpartition(":")[2]
        for grp, members in self._routes().split(chunk.carriers, indices).items():
            if not grp:
                closing = outcomes.closed(head, now_ms, members, CloseCause.NO_ROUTE)
                events.append(_event(head, closing, f"no-route-{part}", now_ms))
                continue
            for not_before, expires_at, chosen in _by_time(chunk.entries, members):
                place = self._place_of(grp) if head.lane == VERIFICATION and not_before <= now_ms else None
                rows.append(Item(grp, not_before, expires_at, chosen, place))
        for not_before in sorted({row.not_before for row in rows}):
            group = sorted(i for row in rows if row.not_before == not_before for i in row.indices)
            whole = group if len(group) < len(chunk.recipients) else None
            later = not_before if not_before > now_ms else 0
            event = outcomes.queued(head, now_ms, whole, later)
            events.append(_event(head, event, f"queued-{part}-{not_before}", now_ms))
        return rows, events

    def _new_ports(self, releases: Iterable[Release]) -> dict[str, tuple[str, str, str]]:
        """Return whose the ports are, where that is news to this process."""
        rows = {}
        for release in releases:
            head = release.head
            for entry in release.chunk.entries:
                if self._ports.get(entry.port) != head.ekey:
                    rows[entry.port] = (head.ekey, head.tenant, head.enterprise)
        return rows

    def _known_ports(self, rows: dict[str, tuple[str, str, str]]) -> None:
        if len(self._ports) > MAX_KNOWN_PORTS:
            self._ports.clear()
        self._ports.update({port: row[0] for port, row in rows.items()})


def _taken(found: Arrivals, releases: list[tuple[Release, int]], row: asyncpg.Record, now_ms: int) -> Taken:
    """Return what of it is new, and so to be told, and which items are claimed already."""
    taken, fresh, claimed = Taken(), found.fresh(row), set(row["claimed"])
    if not fresh:
        return taken
    taken.releases = [releases[place] for place in sorted(fresh)]
    for place, event in found.numbered(row):
        if place not in fresh:
            continue
        taken.events.append(event)
        if event.said is not None and isinstance(event.said.data, MessagesClosed):
            metrics.CLOSED.labels(event.said.data.cause.value).inc(len(event.said.data.indices))
    for item_id, (place, item) in zip(row["items"], found.items, strict=True):
        if place not in fresh:
            continue
        release = releases[place][0]
        lane = release.head.lane
        metrics.TAKEN_IN.labels(LANES[lane].value).inc(len(item.indices))
        if item.place is not None and item_id in claimed:
            taken.claimed.append((item_id, item, item.place, release))
        elif item.not_before <= now_ms:
            taken.hints.add((item.grp, lane))
    return taken


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
