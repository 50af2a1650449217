"""Segments whose receipt never came: after the link's time (72 h by default) their messages end as `no_receipt`.

The journal is walked once, in the order of time; where each link's walk stands is a row, so that workers share it and a restart goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import asyncpg
import structlog

from contracts.events.dispatch import CloseCause
from dispatch import metrics
from dispatch.domain import outcomes
from dispatch.domain.linkconfig import LinkConfig
from dispatch.domain.outcomes import Outgoing
from dispatch.handlers.claiming import head_of
from dispatch.store.journal import OUTAGES
from dispatch.store.outbox import insert_events
from servicekit.clock import Clock
from servicekit.database import Connection, Database

log = structlog.get_logger()

INTERVAL_S = 30.0
WINDOW_MS = 60_000
"""Time of the journal looked through in one transaction."""

_ANSWERS = """
select a.id, a.release_id, a.indices, a.segs, a.statuses, r.chunk_id, r.tenant, r.enterprise, r.ekey, r.lane, r.traceparent
from answer a join release r on r.release_id = a.release_id where a.link = $1 and a.at > $2 and a.at <= $3 order by a.id
"""
_REPORTED = """
select x.i, x.s from report r cross join unnest(r.indices, r.segs) x (i, s) where r.chunk_id = $1
"""


class Overdue:
    """Walks the journal behind the time receipts may take."""

    def __init__(
        self,
        database: Database,
        configs: Mapping[str, LinkConfig],
        *,
        clock: Clock,
        publish: Callable[[list[Outgoing]], None],
    ) -> None:
        self._database = database
        self._configs = configs
        self._clock = clock
        self._publish = publish

    async def run(self) -> None:
        """Walk for ever."""
        while True:
            try:
                busy = False
                for link in self._configs.values():
                    busy |= await self.step(link)
            except OUTAGES as error:
                log.warning("overdue_waiting", reason=str(error))
                busy = False
            await asyncio.sleep(0.05 if busy else INTERVAL_S)

    async def step(self, link: LinkConfig) -> bool:
        """Look through the next piece of a link's journal; True when there is more."""
        now_ms = self._clock.wall_ms()
        until = now_ms - int(link.receipt_hours * 3_600_000)
        events: list[Outgoing] = []
        async with self._database.transaction() as tx:
            mark = await self._mark(tx, link.name, until)
            if mark is None or mark >= until:
                return False
            end = min(until, mark + WINDOW_MS)
            rows = await tx.fetch(_ANSWERS, link.name, mark, end)
            if not rows:
                # Nothing here: go on where the next answer is.
                following = await tx.fetchval(
                    "select min(at) from answer where link = $1 and at > $2 and at <= $3", link.name, mark, until
                )
                end = until if following is None else following - 1
            for row in rows:
                events += await self._row(tx, row, now_ms)
            await tx.execute("update overdue_mark set at = $2 where link = $1", link.name, end)
            if events:
                await insert_events(tx, events, now_ms)
        self._publish(events)
        return True

    async def _mark(self, tx: Connection, link: str, until: int) -> int | None:
        mark: int | None = await tx.fetchval("select at from overdue_mark where link = $1 for update skip locked", link)
        if mark is None:
            first = await tx.fetchval("select min(at) from answer where link = $1", link)
            await tx.execute(
                "insert into overdue_mark (link, at) values ($1, $2) on conflict do nothing",
                link,
                until if first is None else min(until, first - 1),
            )
        return mark

    async def _row(self, tx: Connection, row: asyncpg.Record, now_ms: int) -> list[Outgoing]:
        known = {(r["i"], r["s"]) for r in await tx.fetch(_REPORTED, row["chunk_id"])}
        missing = sorted(
            {
                index
                for index, seg, status in zip(row["indices"], row["segs"], row["statuses"], strict=True)
                if status == 0 and (index, seg) not in known
            }
        )
        if not missing:
            return []
        metrics.CLOSED.labels(CloseCause.NO_RECEIPT.value).inc(len(missing))
        head = head_of(row)
        event = outcomes.closed(head, now_ms, missing, CloseCause.NO_RECEIPT)
        return [outcomes.outcome(head, event, f"no-receipt-{row['id']}", 0, now_ms)]
