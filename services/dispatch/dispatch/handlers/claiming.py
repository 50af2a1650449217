"""Claiming items of the queue and loading what granting them needs: payload, opt-outs, cancels, receipts that came meanwhile.

What is claimed is little (a few windows), so a backlog of any size stays in the table.  What was loaded more than a second ago is
checked again before it is granted: opt-outs and cancels hold at the moment of sending.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable

import asyncpg
import msgspec
import structlog

from bus.courtesy import Courtesy
from contracts.chunk import Chunk
from contracts.events.dispatch import CloseCause
from contracts.lanes import LANES, Lane
from dispatch.domain.outcomes import FIRST, RESEND
from dispatch.domain.quiet import QuietHours
from dispatch.domain.work import Head, Release, Work
from dispatch.handlers.linkstate import MARKETING, LinkState
from dispatch.store import queue
from dispatch.store.arrivals import Item, Place
from dispatch.store.journal import OUTAGES
from servicekit.clock import Clock
from servicekit.database import Connection, Database

log = structlog.get_logger()

RECHECK_S = 1.0
CACHE_OCTETS = 12 * 1024 * 1024
"""Octets of the payloads kept decoded, so that the items of one release decode it once; in memory they are about six times as many."""

ENTERPRISES = 8
EACH = 4
"""Items claimed in one statement: of 8 enterprises 4 each."""

MOST_ENTERPRISES = 64
"""Enterprises of one class with work claimed on one link; more take turns as these finish."""

PATIENCE_S = 2.0
"""How long claimed work waits for a session that reconnects before it is given back."""

POLL_S = 0.05
"""How often the table is looked at for what nobody gave a hint of (another worker took the release in)."""

_decoder = msgspec.msgpack.Decoder(Chunk)
_encoder = msgspec.msgpack.Encoder()
VERIFICATION = Lane.VERIFICATION.rank
CONFIRMATION = "confirm:"
"""Releases that confirm an opt-out: the only ones the opt-out list does not hold back beside codes."""


def pack(chunk: Chunk) -> bytes:
    """Return a chunk as it is stored."""
    return _encoder.encode(chunk)


def unpack(payload: bytes) -> Chunk:
    """Return a stored chunk."""
    return _decoder.decode(payload)


def head_of(row: asyncpg.Record) -> Head:
    """Return what outlives the payload, of a `release` row, whether read with it or not."""
    return Head(
        row["release_id"],
        row["chunk_id"].hex,
        row["tenant"],
        row["enterprise"],
        row["ekey"],
        row["lane"],
        row["traceparent"],
    )


def release_of(row: asyncpg.Record) -> Release:
    """Return the release of a `release` row."""
    return Release(head_of(row), unpack(row["payload"]))


class ReleaseCache:
    """Lately used releases, bounded by their octets."""

    def __init__(self, most: int = CACHE_OCTETS) -> None:
        self._most = most
        self._size = 0
        self._rows: OrderedDict[str, tuple[Release, int]] = OrderedDict()

    def get(self, release_id: str) -> Release | None:
        """Return a release if it is here."""
        found = self._rows.get(release_id)
        if found is None:
            return None
        self._rows.move_to_end(release_id)
        return found[0]

    def put(self, release: Release, octets: int) -> None:
        """Keep a release."""
        self._rows[release.head.release_id] = (release, octets)
        self._size += octets
        while self._size > self._most and self._rows:
            _, (_, size) = self._rows.popitem(last=False)
            self._size -= size


class Claimer:
    """Keeps every link of this worker supplied with claimed work."""

    def __init__(
        self,
        database: Database,
        links: dict[str, LinkState],
        *,
        clock: Clock,
        quiet: QuietHours,
        wake_pump: Callable[..., None],
        courtesy: Courtesy,
    ) -> None:
        """``wake_pump`` is `pump.Pump.wake`."""
        self.cache = ReleaseCache()
        self._database = database
        self._links = links
        self._clock = clock
        self._quiet = quiet
        self._wake_pump = wake_pump
        self._courtesy = courtesy
        self._hint = asyncio.Event()
        self._code_hint = asyncio.Event()
        self._codes = asyncio.Lock()
        self._stopping = False
        self._lost_sight = False
        self._looked_at = float("-inf")
        self._rechecks: list[tuple[LinkState, Work]] = []
        self._strays: list[tuple[str, int]] = []
        """Items claimed for a place that is no longer ours, by link."""

    def hint(self, pairs: Iterable[tuple[str, int]] = ()) -> None:
        """Something may be claimed: of these (group, lane) pairs at once, of others as usual."""
        for grp, lane in pairs:
            for link in self._links.values():
                if link.config.group == grp:
                    link.due[lane] = True
            if lane == VERIFICATION:
                self._code_hint.set()
        self._hint.set()

    def recheck(self, link: LinkState, work: Work) -> None:
        """Check a work again that was loaded too long ago, and queue it again; it is out of its queue meanwhile."""
        self._rechecks.append((link, work))
        self._hint.set()

    # Codes are claimed as they come in -------------------------------------------------------------------------------

    def place_of(self, grp: str) -> Place | None:
        """Return where a code of a group may go at once: a link that wants codes and has claimed all that wait."""
        now = self._clock.monotonic()
        if self._lost_sight or self._stopping:
            return None
        for link in self._links.values():
            if link.config.group == grp and not link.due[VERIFICATION] and link.sendable(now):
                lead = link.lead()
                if lead is not None and link.wanted(VERIFICATION):
                    return link.name, lead.slot, lead.epoch
        return None

    def lose_sight(self) -> None:
        """Something may have been claimed of which nothing is known: all is given back and claimed anew."""
        self._lost_sight = True
        self._hint.set()

    def take(self, claimed: Iterable[tuple[int, Item, Place, Release]]) -> None:
        """Queue items that were claimed as they came in, unless their place went meanwhile."""
        now = self._clock.monotonic()
        for item_id, item, (name, slot, epoch), release in claimed:
            link = self._links.get(name)
            session = None if link is None else link.sessions.get(slot)
            if link is None or session is None or session.epoch != epoch:
                self._strays.append((name, item_id))
                self._hint.set()
                continue
            work = Work(
                id=item_id,
                version=0,
                release=release,
                grp=item.grp,
                kind=FIRST,
                attempt=0,
                expires_at=item.expires_at,
                indices=item.indices,
                segs=None,
                pos=0,
                claim=(name, slot),
            )
            work.checked_at = now
            link.queues[release.head.lane].add(work)
            self._note_codes([work])
            self._wake_pump(urgent=True)

    async def run(self) -> None:
        """Claim for ever: codes beside everything else, whose rounds are many statements long."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeat(self._code_round, self._code_hint))
            group.create_task(self._repeat(self._round, self._hint))

    async def _repeat(self, claim: Callable[[], Awaitable[bool]], hint: asyncio.Event) -> None:
        while not self._stopping:
            try:
                busy = await claim()
            except OUTAGES as error:
                # What the lost statement claimed is ours in the table and unknown here: all is given back and claimed anew.
                log.warning("claimer_waiting", reason=str(error))
                self.lose_sight()
                busy = False
            if not busy:
                try:
                    async with asyncio.timeout(POLL_S):
                        await hint.wait()
                except TimeoutError:
                    pass
            hint.clear()

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping = True
        self._hint.set()
        self._code_hint.set()

    async def _code_round(self) -> bool:
        found = False
        async with self._codes:
            if not self._lost_sight:
                for link in list(self._links.values()):
                    found |= await self._claim_for(link, VERIFICATION)
        if found:
            self._wake_pump(urgent=True)
        return found

    async def _round(self) -> bool:
        if self._lost_sight:
            await self._give_all_back()
        while self._strays:
            name, item_id = self._strays[-1]
            await queue.unclaim_items(self._database, name, [item_id])
            self._strays.pop()
        found = False
        for link in list(self._links.values()):
            await self._give_back_idle(link)
        rechecks, self._rechecks = self._rechecks, []
        for link, work in rechecks:
            await self._check([work])
            link.queues[work.release.head.lane].add(work)
            found = True
        await self._look()
        for lane in range(VERIFICATION + 1, len(LANES)):
            for link in list(self._links.values()):
                found |= await self._claim_for(link, lane)
        if found:
            self._wake_pump()
        return found

    async def _look(self) -> None:
        """Every `POLL_S`, look for what other workers took in or gave back."""
        now = self._clock.monotonic()
        if now - self._looked_at < POLL_S:
            return
        self._looked_at = now
        groups = {link.config.group for link in self._links.values() if link.sendable(now)}
        if groups:
            self.hint(await queue.peek(self._database, sorted(groups)))

    async def _give_all_back(self) -> None:
        async with self._codes:  # no claim of codes is under way meanwhile
            for link in self._links.values():
                link.drop_work()
                for slot in list(link.sessions):
                    await queue.unclaim(self._database, link.name, slot)
            self._lost_sight = False

    async def _give_back_idle(self, link: LinkState) -> None:
        """Give back what this link cannot send for now, so that others can: no session, suspended, or quiet hours."""
        now = self._clock.monotonic()
        if link.sendable(now):
            link.sendable_at = now
        works: list[Work] = []
        if now - link.sendable_at > PATIENCE_S:
            works = [work for queued in link.queues for work in queued.sources()]
        elif len(link.queues[MARKETING]) and self._quiet.ends_at(self._clock.wall_ms()):
            works = link.queues[MARKETING].sources()
        if not works:
            return
        for work in works:
            link.queues[work.release.head.lane].remove(work)
        await queue.unclaim_items(self._database, link.name, [work.id for work in works])

    async def _claim_for(self, link: LinkState, lane: int) -> bool:
        if not link.due[lane] or not link.sendable(self._clock.monotonic()):
            return False
        # With enough claimed, others than those whose work it is still get their turn: one item each.
        wanted = link.wanted(lane)
        skip = [] if wanted else link.queues[lane].enterprises()
        if len(skip) > MOST_ENTERPRISES:
            return False
        if lane == MARKETING and self._quiet.ends_at(self._clock.wall_ms()):
            return False
        lead = link.lead()
        if lead is None:
            return False
        # Set before the query: a hint that comes while it runs must not be overwritten after it.
        link.due[lane] = False
        rows = await queue.claim(
            self._database,
            grp=link.config.group,
            lane=lane,
            after=link.cursors[lane],
            enterprises=ENTERPRISES,
            each=1 if skip else EACH,
            skip=list(skip),
            messages=wanted or 1_000_000,
            piece=link.piece(first=bool(wanted)),
            link=link.name,
            slot=lead.slot,
            epoch=lead.epoch,
            avoid_me=link.alternatives,
        )
        if len({row["ekey"] for row in rows}) < ENTERPRISES and link.cursors[lane]:
            link.cursors[lane] = ""
            link.due[lane] = True
        elif rows:
            link.cursors[lane] = max(row["ekey"] for row in rows)
        if not rows:
            return False
        works = await self._load(sorted(rows, key=lambda r: (r["seq"], r["id"])), (link.name, lead.slot))
        link.due[lane] = True
        for work in works:
            link.queues[lane].add(work)
        if lane == VERIFICATION:
            self._note_codes(works)
        return True

    def _note_codes(self, works: Iterable[Work]) -> None:
        """Tell how long codes took to come here that are sent for the first time and were not meant for later."""
        now, now_ms = self._clock.monotonic(), self._clock.wall_ms()
        for work in works:
            chunk = work.release.chunk
            if work.kind == FIRST and not any(entry.not_before > chunk.accepted_at for entry in chunk.entries):
                self._courtesy.code(max(0, now_ms - chunk.accepted_at) / 1000, now)

    async def _load(self, rows: list[asyncpg.Record], claim: tuple[str, int]) -> list[Work]:
        missing = {row["release_id"] for row in rows if self.cache.get(row["release_id"]) is None}
        releases: dict[str, Release | None] = {}
        if missing:
            for row in await queue.payloads(self._database, list(missing)):
                loaded = release_of(row)
                releases[row["release_id"]] = loaded
                self.cache.put(loaded, len(row["payload"]))
        works = []
        for row in rows:
            release = releases.get(row["release_id"]) or self.cache.get(row["release_id"])
            assert release is not None, "an item's release is in the table: the foreign key says so"
            works.append(
                Work(
                    id=row["id"],
                    version=row["version"],
                    release=release,
                    grp=row["grp"],
                    kind=row["kind"],
                    attempt=row["attempt"],
                    expires_at=row["expires_at"],
                    indices=row["indices"],
                    segs=row["segs"],
                    pos=row["pos"],
                    claim=claim,
                )
            )
        await self._check(works)
        return works

    async def _check(self, works: list[Work]) -> None:
        """Note which messages may not be sent any more: the number opted out, or the task was cancelled."""
        now = self._clock.monotonic()
        async with self._database.connection() as connection:
            tasks = {e.task_id for work in works for e in work.release.chunk.entries}
            gone = await queue.cancelled(connection, list(tasks))
            for work in works:
                chunk, head = work.release.chunk, work.release.head
                work.dropped = {}
                if head.lane != VERIFICATION and not head.release_id.startswith(CONFIRMATION):
                    numbers = {chunk.recipients[i] for i in work.indices[work.pos :]}
                    out = await queue.opted_out(connection, head.tenant, head.enterprise, list(numbers))
                    if out:
                        for i in work.indices[work.pos :]:
                            if chunk.recipients[i] in out:
                                work.dropped[i] = CloseCause.OPTED_OUT
                if gone:
                    for i in work.indices[work.pos :]:
                        if chunk.entry_of(i).task_id in gone:
                            work.dropped[i] = CloseCause.CANCELLED
                if work.kind == RESEND:
                    await self._skip_known(connection, work)
                work.checked_at = now

    async def _skip_known(self, connection: Connection, work: Work) -> None:
        """Leave out segments whose receipt came while they were uncertain."""
        known = await queue.resolved(connection, work.release.head.release_id)
        work.known = known

    def recent_opt_out(self, tenant: str, enterprise: str) -> None:
        """Somebody opted out just now: claimed work of the enterprise is checked again before anything of it is granted."""
        for link in self._links.values():
            for queued in link.queues:
                for work in queued.sources():
                    head = work.release.head
                    if head.tenant == tenant and head.enterprise == enterprise:
                        work.checked_at = float("-inf")
