"""Receipts whose answers this worker had, but which came to another worker of the link.

A carrier may return a receipt on any session of its account.  Who gets one it knows nothing of keeps it in `receipt_pending`; every other
worker of the link looks there a few times a second and takes what its own book knows, which costs a look into a dictionary instead of
a search in the journal.  What nobody takes in two seconds is the resolver's.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable

import asyncpg
import structlog

from contracts.events.dispatch import SegmentState
from dispatch import metrics
from dispatch.handlers.digest import ForeignReceipt
from dispatch.handlers.pump import Pump
from dispatch.store.journal import OUTAGES, PENDING_FIRST_MS, Ids
from servicekit.clock import Clock
from servicekit.database import Database

log = structlog.get_logger()

INTERVAL_S = 0.1
ALONE_S = 0.5
"""How often a worker looks whether it still shares no link."""
OVERLAP_MS = 500
"""How much older than the last look a receipt may be: its commit took a while, or its worker's clock is behind."""
BATCH = 5_000
AGAIN_MS = 1_000
"""A receipt may come before its answer: what is not known is looked up once more after so long."""

_CAME = """
select id, link, raw_id, state, code, recipient, done_at, next_at from receipt_pending
where link = any($1) and next_at > $2 and tries = 0 and id - (id - 1) % $3 <> all($4) and id <> all($5)
order by link, next_at limit $6
"""


class Neighbourhood:
    """Takes over what others keep and this worker's book knows."""

    def __init__(self, database: Database, pump: Pump, *, shared: Callable[[], list[str]], clock: Clock) -> None:
        """``shared`` returns the links of which other workers have sessions."""
        self._database = database
        self._pump = pump
        self._shared = shared
        self._clock = clock
        self._seen: dict[int, int] = {}
        self._looked_ms = 0
        self._again: deque[tuple[int, asyncpg.Record]] = deque()

    async def run(self) -> None:
        """Look for ever."""
        while True:
            full = False
            try:
                links = self._shared()
                if links:
                    full = await self.once(links) == BATCH
            except OUTAGES as error:
                log.warning("neighbourhood_waiting", reason=str(error))
                links = []
            if not full:
                await asyncio.sleep(INTERVAL_S if links else ALONE_S)

    async def once(self, links: list[str]) -> int:
        """Look at what came since the last time, and again at what was not known a second ago; return how much came."""
        now_ms = self._clock.wall_ms()
        since = max(now_ms, self._looked_ms - OVERLAP_MS + PENDING_FIRST_MS)
        self._seen = {pending: due for pending, due in self._seen.items() if due > since}
        own = list(self._pump.ids.blocks)
        rows = await self._database.fetch(_CAME, links, since, Ids.BLOCK, own, list(self._seen), BATCH)
        self._seen.update((row["id"], row["next_at"]) for row in rows)
        if len(rows) < BATCH:
            self._looked_ms = now_ms
        found: list[ForeignReceipt] = []
        while self._again and self._again[0][0] <= now_ms:
            _, row = self._again.popleft()
            # After an outage it may be the resolver's, or settled, by now.
            if row["next_at"] > now_ms and (one := self._known(row)) is not None:
                found.append(one)
        for row in rows:
            if (one := self._known(row)) is not None:
                found.append(one)
            else:
                self._again.append((now_ms + AGAIN_MS, row))
        if found:
            for link, count in Counter(one.link for one in found).items():
                metrics.RECEIPTS.labels(link, "neighbour").inc(count)
            self._pump.on_foreign(found)
        return len(rows)

    def _known(self, row: asyncpg.Record) -> ForeignReceipt | None:
        link = self._pump.links.get(row["link"])
        if link is None:
            return None
        found = self._pump.book.match(link.name, row["raw_id"], link.config.id_mode, row["recipient"])
        if found is None:
            return None
        return ForeignReceipt(row["id"], link.name, *found, SegmentState(row["state"]), row["code"], row["done_at"])
