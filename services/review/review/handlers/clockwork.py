"""What time does: validity runs out, decisions become due, claims lapse, refusals add up to a suspension, payloads
are purged.

One process at a time does it (an advisory lock held for the transaction); every step is a compare-and-set, so a
second one would
only find nothing to do.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import asyncpg
import structlog

from review import metrics
from review.domain.checklist import Checklist
from review.store import audit, items, policies, releases
from review.store.audit import Action
from servicekit.clock import Clock
from servicekit.database import Connection, Database, DatabaseUnavailable

log = structlog.get_logger()

TICK_S = 0.25
"""How late a decision may be published after its undo time; also the longest a message outlives its validity here."""

_LOCK = 0x72637700  # "rcw"
_SLOW_EVERY = 40
"""Ticks between gauges and purges: ten seconds."""

_COUNT_KEPT_MINUTES = 1_440


class Clockwork:
    """A component of the service."""

    def __init__(
        self, database: Database, clock: Clock, checklist: Checklist, *, refusals_to_suspend: int, keep_days: int
    ) -> None:
        """Take the figures of the settings."""
        self._database = database
        self._clock = clock
        self._penalties = checklist.penalties()
        self._refusals = refusals_to_suspend
        self._keep_ms = keep_days * 86_400_000
        self._stopping = asyncio.Event()
        self._ticks = 0

    async def run(self) -> None:
        """Tick until stopped; an outage of the database is waited out, anything else ends the process."""
        while not self._stopping.is_set():
            try:
                await self.tick()
            except DatabaseUnavailable as error:
                log.warning("clockwork_waiting", reason=str(error))
            try:
                async with asyncio.timeout(TICK_S):
                    await self._stopping.wait()
            except TimeoutError:
                continue

    async def stop(self) -> None:
        """End after the tick in hand."""
        self._stopping.set()

    async def tick(self) -> None:
        """Do everything that is due now."""
        async with self._database.transaction() as tx:
            if not await tx.fetchval("select pg_try_advisory_xact_lock($1)", _LOCK):
                return
            now = self._clock.wall_ms()
            expired = await items.expire(tx, now)
            await items.lapse_claims(tx, now)
            final = await items.finalise(tx, now)
            suspended = await self._penalise(tx, final, now)
            await self._record(tx, expired, suspended, now)
        for row in final:
            metrics.DECISIONS.labels(row["state"]).inc()
        self._ticks += 1
        if self._ticks % _SLOW_EVERY == 1:
            await self._slowly()

    async def _penalise(self, tx: Connection, final: Sequence[asyncpg.Record], now: int) -> list[tuple[str, str, int]]:
        """Suspend ports whose refused bulk tasks reached the limit (review.md, "Penalties")."""
        ports = Counter(
            (row["tenant"], row["port"], row["enterprise"])
            for row in final
            if row["state"] == "rejected" and row["cited"] in self._penalties and row["tier"] == "high"
        )
        suspended = []
        for tenant, port, enterprise in sorted(ports):
            count = await items.refusals_of_port(tx, tenant, port, self._penalties)
            if count >= self._refusals and await policies.suspend(
                tx, tenant, port, enterprise, at_ms=now, why=f"refused:{count}"
            ):
                metrics.SUSPENDED.inc()
                log.warning("port_suspended", tenant=tenant, port=port, refused=count)
                suspended.append((tenant, port, count))
        return suspended

    async def _record(
        self, tx: Connection, expired: Sequence[asyncpg.Record], suspended: Sequence[tuple[str, str, int]], now: int
    ) -> None:
        actions: dict[str, list[Action]] = {}
        for row in expired:
            actions.setdefault(row["tenant"], []).append(
                Action("system", "system", "task.expire", row["task_id"], {"port": row["port"]})
            )
        for tenant, port, count in suspended:
            actions.setdefault(tenant, []).append(Action("system", "system", "port.suspend", port, {"refused": count}))
        for tenant in sorted(actions):
            await audit.append(tx, tenant, now, actions[tenant])

    async def _slowly(self) -> None:
        now = self._clock.wall_ms()
        async with self._database.transaction() as tx:
            row = await tx.fetchrow(
                "select count(*) as n, min(queued_at) as oldest from item where state in ('queued', 'claimed')"
            )
            mean = await tx.fetchval(
                "select avg(decided_at - queued_at) from item where decided_by is not null and decided_at > $1",
                now - 86_400_000,
            )
            assert row is not None, "an aggregate always has a row"
            metrics.WAITING.set(row["n"])
            metrics.OLDEST.set(0 if row["oldest"] is None else max(0, now - row["oldest"]) / 1_000)
            metrics.MEAN_REVIEW.set(float(mean or 0) / 1_000)
            await items.withdraw_missed(tx, now)
            await releases.purge(tx, now - self._keep_ms)
            minute = now // 60_000 - _COUNT_KEPT_MINUTES
            await tx.execute("delete from content_count where minute < $1", minute)
            await tx.execute("delete from content_cluster where seen_minute < $1", minute)
            await tx.execute("delete from console_session where expires_at < $1", now)
