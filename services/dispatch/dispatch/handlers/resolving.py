"""Receipts that matched nothing in memory: looked up in the journal, then among the uncertain, then kept, listed and tried again.

Where several workers have sessions of one link, most receipts come to another one than their answers did, so they are settled by
hundreds; which worker does it does not matter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import UUID

import asyncpg
import structlog
from opentelemetry.trace import Span

from contracts.events.dispatch import SegmentsAnswered, SegmentState
from dispatch import metrics
from dispatch.domain import outcomes
from dispatch.domain.book import number_of, same_number
from dispatch.domain.linkconfig import LinkConfig
from dispatch.domain.outcomes import Outgoing
from dispatch.domain.work import Head
from dispatch.handlers import tracing
from dispatch.handlers.claiming import head_of, release_of
from dispatch.store.journal import OUTAGES
from dispatch.store.outbox import insert_events
from servicekit.clock import Clock
from servicekit.database import Connection, Database
from servicekit.telemetry import traceparent_of

log = structlog.get_logger()

INTERVAL_S = 0.5
BATCH = 1_000
FIRST_MS = 1_000
MOST_MS = 600_000
AROUND_MS = 15 * 60_000
"""How far a carrier's clock may be off: the journal is searched so far around the submit time the receipt tells."""
LATELY_MS = 60_000
"""A receipt is first looked for among the answers of the minute before it came, where nearly all are."""

_DUE = """
select * from receipt_pending where link = any($1) and next_at <= $2 order by next_at limit $3 for update skip locked
"""
_IN_JOURNAL = """
select a.id, a.release_id, a.indices[x.o] index, a.segs[x.o] seg, a.totals[x.o] total, a.recipients[x.o] recipient,
       ltrim(lower(x.cid), '0') form
from answer a cross join unnest(a.carrier_ids) with ordinality x (cid, o)
where a.link = $1 and a.at between $2 and $3 and ltrim(lower(x.cid), '0') = any($4::text[])
"""
_RELEASES = """
select release_id, chunk_id, tenant, enterprise, ekey, lane, traceparent from release where release_id = any($1)
"""
_REPORTED = """
select r.chunk_id, x.i, x.s from report r cross join unnest(r.indices, r.segs) x (i, s)
join unnest($1::uuid[], $2::int2[], $3::int2[]) w (chunk_id, i, s) on w.chunk_id = r.chunk_id and w.i = x.i and w.s = x.s
where r.chunk_id = any($1)
"""
_LATER = """
update receipt_pending p set tries = tries + 1, next_at = u.at from unnest($1::int8[], $2::int8[]) u (id, at) where p.id = u.id
"""
_CANDIDATES = """
select * from uncertain where link = $1 and recipient = $2 and ($3 = '' or sender = $3) and resolved = '' and at between $4 and $5
order by at limit 2 for update
"""


class Resolver:
    """Settles pending receipts."""

    def __init__(
        self,
        database: Database,
        configs: dict[str, LinkConfig],
        *,
        clock: Clock,
        publish: Callable[[list[Outgoing]], None],
        settled: Callable[[str, int, list[str]], None],
    ) -> None:
        """``settled(link, id, forms)`` is told of receipts that wait no longer."""
        self._database = database
        self._configs = configs
        self._clock = clock
        self._publish = publish
        self._settled = settled
        self._spans: list[Span] = []

    async def run(self) -> None:
        """Resolve for ever."""
        while True:
            try:
                more = await self.once() == BATCH
            except OUTAGES as error:
                log.warning("resolver_waiting", reason=str(error))
                more = False
            if not more:
                await asyncio.sleep(INTERVAL_S)

    async def once(self) -> int:
        """Try every receipt that is due; return how many there were."""
        now_ms = self._clock.wall_ms()
        events: list[Outgoing] = []
        self._spans.clear()
        async with self._database.transaction() as tx:
            rows = await tx.fetch(_DUE, list(self._configs), now_ms, BATCH)
            by_link: dict[str, list[asyncpg.Record]] = {}
            for row in rows:
                by_link.setdefault(row["link"], []).append(row)
            for link, members in by_link.items():
                events += await self._link(tx, link, members, now_ms)
            if events:
                await insert_events(tx, events, now_ms)
        for span in self._spans:
            span.end()
        if events:
            self._publish(events)
        return len(rows)

    async def _link(self, tx: Connection, link: str, rows: list[asyncpg.Record], now_ms: int) -> list[Outgoing]:
        lately = [row for row in rows if not row["tries"]]
        found = await self._journal(tx, link, lately, now_ms, since_ms=LATELY_MS)
        hits = [(row, hit) for row in lately if (hit := _certain(row, found)) is not None]
        seen = {row["id"] for row, _ in hits}
        tried = [row for row in rows if row["tries"]]
        found = await self._journal(tx, link, tried, now_ms)
        hits += [(row, hit) for row in tried if (hit := _believed(row, found)) is not None]
        seen |= {row["id"] for row, _ in hits}
        events, settled = await self._by_id(tx, link, hits, now_ms)
        for row in rows:
            if row["id"] not in seen and (made := await self._by_candidate(tx, row, now_ms)) is not None:
                events += made
                settled.add(row["id"])
        left = [row for row in rows if row["id"] not in settled]
        if left:
            later = [now_ms + min(MOST_MS, FIRST_MS << min(row["tries"], 12)) for row in left]
            await tx.execute(_LATER, [row["id"] for row in left], later)
        if settled:
            await tx.execute("delete from receipt_pending where id = any($1)", sorted(settled))
            for row in rows:
                if row["id"] in settled:
                    self._settled(link, row["id"], row["ids"])
        return events

    async def _journal(
        self, tx: Connection, link: str, rows: list[asyncpg.Record], now_ms: int, *, since_ms: int = 0
    ) -> dict[str, list[asyncpg.Record]]:
        """Return the journal's segments by the ids of receipts: of the last ``since_ms`` before they came, or of all that is possible."""
        forms = sorted({form for row in rows for form in row["ids"] if form != "-"})
        if not forms:
            return {}
        hours = int(self._configs[link].receipt_hours * 3_600_000)
        if since_ms:
            since = min(row["received_at"] for row in rows) - since_ms
        else:
            oldest = min((row["submitted_at"] or 0) for row in rows)
            since = oldest - AROUND_MS if oldest else now_ms - hours
        hits = await tx.fetch(_IN_JOURNAL, link, max(since, now_ms - hours), now_ms + AROUND_MS, forms)
        result: dict[str, list[asyncpg.Record]] = {}
        for hit in hits:
            result.setdefault(hit["form"], []).append(hit)
        return result

    async def _by_id(
        self, tx: Connection, link: str, hits: list[tuple[asyncpg.Record, asyncpg.Record]], now_ms: int
    ) -> tuple[list[Outgoing], set[int]]:
        """Report segments found by their ids, those of a release together; return events and the receipts that are settled."""
        stored = await tx.fetch(_RELEASES, sorted({hit["release_id"] for _, hit in hits})) if hits else []
        heads = {row["release_id"]: head_of(row) for row in stored}
        known = [(row, hit) for row, hit in hits if hit["release_id"] in heads]
        if not known:
            return [], set()
        places = [(UUID(heads[hit["release_id"]].chunk_id), hit["index"], hit["seg"]) for _, hit in known]
        reported = {tuple(row) for row in await tx.fetch(_REPORTED, *map(list, zip(*places, strict=True)))}
        fresh: dict[str, list[tuple[asyncpg.Record, asyncpg.Record]]] = {}
        for (row, hit), place in zip(known, places, strict=True):
            if place in reported:
                metrics.RECEIPTS.labels(link, "repeated").inc()
            else:
                reported.add(place)
                fresh.setdefault(hit["release_id"], []).append((row, hit))
        events = []
        for release_id, pairs in fresh.items():
            metrics.RECEIPTS.labels(link, "journal").inc(len(pairs))
            events.append(await self._report(tx, heads[release_id], pairs, "journal", now_ms))
        return events, {row["id"] for row, _ in known}

    async def _by_candidate(self, tx: Connection, row: asyncpg.Record, now_ms: int) -> list[Outgoing] | None:
        """An uncertain segment has no carrier id: only when exactly one fits by link, recipient, sender and time.

        Some protocols' reports name no sender (SGIP, 3.8): then by the others alone.
        """
        recipient = number_of(row["recipient"])
        if not recipient:
            return None
        around = row["submitted_at"] or row["received_at"]
        hours = int(self._configs[row["link"]].receipt_hours * 3_600_000)
        since = around - AROUND_MS if row["submitted_at"] else row["received_at"] - hours
        candidates = await tx.fetch(
            _CANDIDATES, row["link"], recipient, row["sender"], since, row["received_at"] + AROUND_MS
        )
        if len(candidates) != 1:
            return None
        one = candidates[0]
        await tx.execute("update uncertain set resolved = 'receipt' where id = $1", one["id"])
        stored = await tx.fetchrow("select * from release where release_id = $1", one["release_id"])
        if stored is None:
            return None
        metrics.RECEIPTS.labels(row["link"], "candidate").inc()
        head = head_of(stored)
        accepted = self._accepted(row, one, stored, now_ms)
        report = await self._report(tx, head, [(row, one)], "candidate", now_ms)
        return [outcomes.outcome(head, accepted, f"answered-uncertain-{one['id']}", 0, now_ms), report]

    def _accepted(
        self, row: asyncpg.Record, one: asyncpg.Record, stored: asyncpg.Record, now_ms: int
    ) -> SegmentsAnswered:
        """The receipt proves that the carrier took the segment: it is answered after all, once, and so charged."""
        chunk = release_of(stored).chunk
        entry = chunk.entry_of(one["index"])
        config = self._configs[row["link"]]
        return SegmentsAnswered(
            chunk_id=chunk.chunk_id,
            enterprise=chunk.enterprise,
            link=row["link"],
            slot=one["slot"],
            epoch=one["epoch"],
            batch=one["grant_id"],
            at=now_ms,
            protocol=config.protocol,
            carrier=config.carrier,
            indices=[one["index"]],
            segments=[one["seg"]],
            totals=[one["total"]],
            statuses=[0],
            carrier_ids=[row["raw_id"]],
            recipients=[one["recipient"]],
            senders=[entry.port],
            task_ids=[entry.task_id],
            refs=[entry.ref] if entry.ref else [],
        )

    async def _report(
        self, tx: Connection, head: Head, pairs: list[tuple[asyncpg.Record, asyncpg.Record]], found: str, now_ms: int
    ) -> Outgoing:
        """Store receipts of one release and return the event; ``pairs`` are receipts with their segments."""
        row = pairs[0][0]
        await tx.execute(
            "insert into report (id, link, chunk_id, at, indices, segs, states, codes) values ($1, $2, $3, $4, $5, $6, $7, $8)",
            row["id"],
            row["link"],
            head.chunk_id,
            now_ms,
            [segment["index"] for _, segment in pairs],
            [segment["seg"] for _, segment in pairs],
            [receipt["state"] for receipt, _ in pairs],
            [receipt["code"] for receipt, _ in pairs],
        )
        event = outcomes.reported(
            head,
            row["link"],
            row["id"],
            now_ms,
            [(s["index"], s["seg"], s["total"], SegmentState(r["state"]), r["code"], r["done_at"]) for r, s in pairs],
        )
        # The journal does not say which submit it was: the receipt hangs under the taking in of the release.
        span = tracing.receipt(
            head, head.traceparent, link=row["link"], states=event.states, found=found, now_ms=now_ms
        )
        if span is None:
            return outcomes.outcome(head, event, f"reported-{row['id']}", 0, now_ms)
        self._spans.append(span)
        return outcomes.outcome(head, event, f"reported-{row['id']}", 0, now_ms, traceparent_of(span))


def _certain(row: asyncpg.Record, found: dict[str, list[asyncpg.Record]]) -> asyncpg.Record | None:
    """Return the segment of a late answer whose id and recipient are the receipt's."""
    for form in row["ids"]:
        for hit in found.get(form, []):
            if same_number(hit["recipient"], row["recipient"]):
                return hit
    return None


def _believed(row: asyncpg.Record, found: dict[str, list[asyncpg.Record]]) -> asyncpg.Record | None:
    """Return the journal's segment a receipt means: see `domain.book.Book.match`; an id used twice needs the recipient too."""
    for place, form in enumerate(row["ids"]):
        hits = found.get(form, [])
        if place == 0 and len(hits) == 1:
            return hits[0]
        for hit in hits:
            if same_number(hit["recipient"], row["recipient"]):
                return hit
    return None
