"""The journal cycle: everything one turn of the pump makes durable, gathered in arrays and committed in one round trip.

`Draft.commit` either did all of it or nothing, and doing it twice is the same as once (the cycle's number is in the worker's row).
"""

from __future__ import annotations

from collections import deque
from typing import Any

import asyncpg

from dispatch.domain.outcomes import Outgoing
from dispatch.domain.work import Flight, Head, Work
from servicekit.arrays import numbers, texts
from servicekit.database import Connection, Database, DatabaseUnavailable

_CYCLE_ARGS = 48
_RECEIPT_ARGS = 34
_SQL = (
    "select case when journal_cycle("
    + ", ".join(f"${n}" for n in range(1, _CYCLE_ARGS + 1))
    + ") then journal_receipts("
    + ", ".join(f"${n}" for n in range(_CYCLE_ARGS + 1, _CYCLE_ARGS + _RECEIPT_ARGS + 1))
    + ") end"
)


PENDING_FIRST_MS = 2_000
"""An unmatched receipt is first looked up in the journal after so long: nearly always its answer arrives before."""

REPEATABLE = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.LockNotAvailableError)
"""Conflicts after which nothing was done and the same may simply be tried again."""


OUTAGES = (DatabaseUnavailable, *REPEATABLE)
"""What a background loop waits out and tries again."""


class FencedError(Exception):
    """A slot of ours has a new epoch: somebody else owns it, and this process must not go on."""


class StaleError(Exception):
    """An item was changed by somebody else (a cancel, another worker): forget it and claim again."""


class Draft:
    """What the next commit will carry.  Lists are flat; `*_off` and `*_len` cut them."""

    def __init__(self) -> None:
        self.slots: dict[tuple[str, int], tuple[int, int]] = {}
        self.items: dict[int, list[int]] = {}
        self.flights: list[tuple[Flight, int]] = []
        self.g_idx: list[int] = []
        self.g_seg: list[int] = []
        self.g_tot: list[int] = []
        self.answers: list[tuple[Any, ...]] = []
        self.a_idx: list[int] = []
        self.a_seg: list[int] = []
        self.a_tot: list[int] = []
        self.a_status: list[int] = []
        self.a_cid: list[str] = []
        self.a_rcp: list[int] = []
        self.closed: list[int] = []
        self.shrunk: list[tuple[int, list[int], list[int], list[int]]] = []
        """Open grants, part of which went back into the queue: (id, indices, segments, totals) of the rest."""
        self.renewed: list[tuple[Any, ...]] = []
        self.n_idx: list[int] = []
        self.n_seg: list[int] = []
        self.raw: dict[tuple[str, int], list[bytes]] = {}
        self.pending: list[tuple[Any, ...]] = []
        self.settled: list[int] = []
        self.reports: list[tuple[Any, ...]] = []
        self.m_idx: list[int] = []
        self.m_seg: list[int] = []
        self.m_state: list[str] = []
        self.m_code: list[str] = []
        self.events: list[Outgoing] = []
        self.acked: list[int] = []
        self.uncertain: list[tuple[Any, ...]] = []
        self.mos: list[tuple[Any, ...]] = []
        self.closings: dict[int, list[Outgoing]] = {}
        """Events of messages closed while granting an item: they fall with the item when it is stale."""

    def empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (
            self.items
            or self.answers
            or self.closed
            or self.renewed
            or self.raw
            or self.pending
            or self.settled
            or self.reports
            or self.events
            or self.acked
            or self.uncertain
            or self.mos
        )

    # Grants -----------------------------------------------------------------------------------------------------------

    def slot(self, link: str, slot: int, epoch: int) -> int:
        """Return the 1-based place of a slot that must still have ``epoch`` when this is committed."""
        known = self.slots.get((link, slot))
        if known is None:
            known = self.slots[link, slot] = (len(self.slots) + 1, epoch)
        return known[0]

    def advance(self, work: Work, lo: int) -> None:
        """Say that an item moved from ``lo`` (when it first appears in this draft) to its present place."""
        row = self.items.get(work.id)
        if row is None:
            self.items[work.id] = [work.version, lo, work.pos]
        else:
            row[2] = work.pos

    def grant(self, flight: Flight, item: int) -> None:
        """Add a sealed flight as a grant out of ``item``."""
        self.slot(flight.link, flight.slot, flight.epoch)
        self.flights.append((flight, item))

    # Answers ----------------------------------------------------------------------------------------------------------

    def answer(
        self, batch: int, flight: Flight, at: int, places: list[tuple[int, int, str]], recipients: list[int]
    ) -> None:
        """Add answers of one flight: (place, status, carrier id), with the recipients by position."""
        head = flight.head
        self.slot(flight.link, flight.slot, flight.epoch)
        self.answers.append(
            (
                batch,
                flight.id,
                flight.link,
                flight.slot,
                flight.epoch,
                head.release_id,
                head.lane,
                at,
                len(self.a_idx),
                len(places),
            )
        )
        self.a_idx += [flight.indices[place] for place, _, _ in places]
        self.a_seg += [flight.segs[place] for place, _, _ in places]
        self.a_tot += [flight.totals[place] for place, _, _ in places]
        self.a_status += [status for _, status, _ in places]
        self.a_cid += [cid for _, _, cid in places]
        self.a_rcp += recipients

    def renew(
        self,
        head: Head,
        *,
        grp: str,
        kind: int,
        attempt: int,
        not_before: int,
        expires_at: int,
        avoid: str | None,
        pairs: list[tuple[int, int]],
    ) -> None:
        """Put (index, segment) pairs back into the queue as a new item."""
        pairs.sort()
        self.renewed.append(
            (
                head.release_id,
                head.ekey,
                head.lane,
                grp,
                kind,
                attempt,
                not_before,
                expires_at,
                avoid,
                len(self.n_idx),
                len(pairs),
            )
        )
        self.n_idx += [i for i, _ in pairs]
        self.n_seg += [s for _, s in pairs]

    # Receipts ---------------------------------------------------------------------------------------------------------

    def receipts_raw(self, link: str, slot: int, raws: list[bytes]) -> None:
        """Add receipts as received."""
        self.raw.setdefault((link, slot), []).extend(raws)

    def report(self, batch: int, link: str, chunk_id: str, rows: list[tuple[int, int, int, Any, str, int]]) -> None:
        """Add matched receipts of one chunk: (index, segment, total, state, code, done at)."""
        self.reports.append((batch, link, chunk_id, len(self.m_idx), len(rows)))
        self.m_idx += [row[0] for row in rows]
        self.m_seg += [row[1] for row in rows]
        self.m_state += [row[3] for row in rows]
        self.m_code += [row[4] for row in rows]

    # Commit -----------------------------------------------------------------------------------------------------------

    def args(self, owner: str, cycle: int, at: int) -> list[Any]:
        """Return the statement's arguments in its order."""
        g_off: list[int] = []
        g_len: list[int] = []
        for flight, _ in self.flights:
            g_off.append(len(self.g_idx))
            g_len.append(len(flight.indices))
            self.g_idx += flight.indices
            self.g_seg += flight.segs
            self.g_tot += flight.totals
        place = {key: number for key, (number, _) in self.slots.items()}
        result: list[Any] = [
            owner,
            cycle,
            [link for link, _ in self.slots],
            [slot for _, slot in self.slots],
            [epoch for _, epoch in self.slots.values()],
            list(self.items),
            [row[0] for row in self.items.values()],
            [row[1] for row in self.items.values()],
            [row[2] for row in self.items.values()],
            [flight.id for flight, _ in self.flights],
            [place[flight.link, flight.slot] for flight, _ in self.flights],
            [item for _, item in self.flights],
            g_off,
            g_len,
            numbers(self.g_idx),
            numbers(self.g_seg),
            numbers(self.g_tot),
            at,
            *_columns(self.answers, 10),
            numbers(self.a_idx),
            numbers(self.a_seg),
            numbers(self.a_tot),
            numbers(self.a_status),
            texts(self.a_cid),
            numbers(self.a_rcp),
            self.closed,
            *_columns(self.renewed, 11),
            numbers(self.n_idx),
            numbers(self.n_seg),
        ]
        self.g_idx, self.g_seg, self.g_tot = [], [], []  # made anew should the draft be cut and tried again
        result += self._receipt_args(at)
        return result

    def _receipt_args(self, at: int) -> list[Any]:
        raws: list[bytes] = []
        offsets: list[int] = []
        lengths: list[int] = []
        for batch in self.raw.values():
            offsets.append(len(raws))
            lengths.append(len(batch))
            raws += batch
        return [
            [link for link, _ in self.raw],
            [slot for _, slot in self.raw],
            at,
            offsets,
            lengths,
            raws,
            *_columns(self.pending, 10),
            at + PENDING_FIRST_MS,
            self.settled,
            *_columns(self.reports, 5),
            numbers(self.m_idx),
            numbers(self.m_seg),
            texts(self.m_state),
            texts(self.m_code),
            [event.id for event in self.events],
            [event.topic for event in self.events],
            [event.key for event in self.events],
            [event.type for event in self.events],
            [event.trace for event in self.events],
            [event.payload for event in self.events],
            self.acked,
        ]

    async def commit(self, database: Database, owner: str, cycle: int, at: int) -> None:
        """Commit all of it.

        Raises `FencedError`, `StaleError` (nothing was done), or `servicekit.database.DatabaseUnavailable` (its fate is unknown:
        commit again under the same number).
        """
        args = self.args(owner, cycle, at)
        try:
            if self.uncertain or self.mos or self.shrunk:
                async with database.transaction() as tx:
                    if await tx.fetchval("select cycle from worker_cycle where owner = $1", owner) != cycle:
                        await tx.execute(_SQL, *args)
                        await self._rare(tx)
            else:
                async with database.connection() as connection:
                    await connection.execute(_SQL, *args)
        except asyncpg.PostgresError as error:
            if error.sqlstate == "GX001":
                raise FencedError(str(error)) from error
            if error.sqlstate == "GX002":
                raise StaleError(str(error)) from error
            if isinstance(error, REPEATABLE):
                raise DatabaseUnavailable(type(error).__name__) from error
            raise

    async def _rare(self, tx: Connection) -> None:
        """What seldom happens gets statements of its own in the same transaction."""
        if self.uncertain:
            await tx.executemany(
                "insert into uncertain (link, slot, epoch, grant_id, release_id, chunk_id, lane, index, seg, total, recipient,"
                " sender, at, rule) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
                self.uncertain,
            )
        if self.shrunk:
            await tx.executemany("update grants set indices = $2, segs = $3, totals = $4 where id = $1", self.shrunk)
        if self.mos:
            await tx.executemany(
                "insert into mo_raw (id, link, source, destination, data_coding, udhi, content, raw, reference, total, part,"
                " width, at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) on conflict do nothing",
                self.mos,
            )

    def without(self, stale: set[int]) -> list[Flight]:
        """Take the grants of stale items out, so that the rest can be committed; return their flights."""
        gone = [flight for flight, item in self.flights if item in stale]
        self.flights = [(flight, item) for flight, item in self.flights if item not in stale]
        for item in stale:
            self.items.pop(item, None)
            fallen = {event.id for event in self.closings.pop(item, [])}
            if fallen:
                self.events = [event for event in self.events if event.id not in fallen]
        return gone


async def stale_items(database: Database, items: dict[int, list[int]]) -> set[int]:
    """Return which of a draft's items are not as it expected."""
    rows = await database.fetch("select id, version, pos from item where id = any($1)", list(items))
    found = {row["id"]: (row["version"], row["pos"]) for row in rows}
    return {item for item, row in items.items() if found.get(item) != (row[0], row[1])}


class Ids:
    """Numbers for grants, answers and events, unique over all workers: blocks of a sequence, refilled ahead of need."""

    BLOCK = 4096
    KEPT = 64

    def __init__(self) -> None:
        self.blocks: deque[int] = deque(maxlen=self.KEPT)
        """First numbers of the latest blocks: what has a number of these is this worker's own."""
        self._next = 0
        self._end = 0
        self._spare: list[int] = []

    async def refill(self, database: Database) -> None:
        """Fetch blocks until two are in hand; cheap when nothing is needed."""
        while len(self._spare) < 2:
            self._spare.append(await database.fetchval("select nextval('journal_id')"))

    def low(self) -> bool:
        """Whether `refill` should be called."""
        return len(self._spare) < 2

    def take(self) -> int:
        """Return a number; raises IndexError when `refill` was forgotten."""
        if self._next == self._end:
            self._next = self._spare.pop(0)
            self._end = self._next + self.BLOCK
            self.blocks.append(self._next)
        value = self._next
        self._next += 1
        return value


def _columns(rows: list[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Return rows as columns; no rows are ``width`` empty columns."""
    if not rows:
        return [[] for _ in range(width)]
    return [list(column) for column in zip(*rows, strict=True)]
