"""Making, offering, checking and re-creating charging files.

The row comes first: number, digest and the closures it holds are one transaction under the lock.  The file on disk
follows and can be made again at any time from the rows, so a crash between the two leaves work, not a gap.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from billing_sync import metrics
from billing_sync.adapters.folder import Folder
from billing_sync.domain.record import Built, Head, build
from billing_sync.store import files
from servicekit.database import Connection, Database

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Shape:
    """How files are cut: interval in ms, most records, node and encoding."""

    interval_ms: int
    most: int
    node: str
    encoding: str


@dataclass(frozen=True, slots=True)
class Verified:
    """Whether a file's rows still make its octets, and whether the file on disk is it."""

    rows_agree: bool
    on_disk: bool
    disk_agrees: bool
    sha256: str


class Recent:
    """What the files made here lately are made of, so that their events need not read the rows again."""

    MOST = 8
    """Files kept: some 2 MB each.  The relay of another worker, or this one after a crash, reads the rows."""

    def __init__(self) -> None:
        self._charged: dict[int, files.Groups] = {}

    def keep(self, no: int, charged: files.Groups) -> None:
        """Keep the records of a committed file."""
        self._charged[no] = charged
        while len(self._charged) > self.MOST:
            del self._charged[next(iter(self._charged))]

    def take(self, no: int) -> files.Groups | None:
        """Return them, once."""
        return self._charged.pop(no, None)


async def make_due(
    database: Database, folder: Folder, shape: Shape, now_ms: int, recent: Recent | None = None
) -> list[int]:
    """Make every file that is due and put it into the outgoing folder; return their numbers."""
    made: list[int] = []
    while (fresh := await database.run(lambda tx: _make(tx, shape, now_ms))) is not None:
        head, built, charged = fresh
        if recent is not None:
            recent.keep(head.no, charged)
        # The octets are at hand; after a crash here `offer` makes them again from the rows.
        await asyncio.to_thread(folder.write, head.name, built.octets)
        made.append(head.no)
    return made


async def _make(tx: Connection, shape: Shape, now_ms: int) -> tuple[Head, Built, files.Groups] | None:
    await files.lock(tx)
    choice = await files.choose(tx, now_ms, shape.interval_ms, shape.most)
    if choice is None:
        return None
    head = Head(await files.next_no(tx), shape.node, choice.begin, choice.end, shape.encoding)
    content = await files.content(tx, choice.ids)
    built = await asyncio.to_thread(build, head, content.lines, content.total)
    await files.insert(tx, head, built, choice.ids)
    metrics.FILES.inc()
    metrics.RECORDS.inc(built.records)
    log.info("file_made", no=head.no, name=head.name, records=built.records, total=format(built.total, "f"))
    return head, built, content.charged


async def recreate(database: Database, row: files.FileRow) -> Built:
    """Return the file's octets from its rows; raises RuntimeError when they are not what the row says."""
    async with database.connection() as connection:
        built = await _built(connection, row.head, await files.ids_of(connection, row.head.no))
    if built.sha256 != row.sha256:
        # Rows are append only; this is damage to the database, and offering other octets under the same name would
        # hide it.
        raise RuntimeError(f"file {row.head.no}: its rows no longer make the octets it was made of")
    return built


async def offer(database: Database, folder: Folder) -> int:
    """Make the outgoing folder hold exactly the unacknowledged files; return how many were written.

    Every worker has a folder of its own; which of them took an acknowledgement makes no difference.
    """
    async with database.connection() as connection:
        waiting = await files.unacknowledged(connection)
    metrics.UNACKNOWLEDGED.set(len(waiting))
    present = await asyncio.to_thread(folder.offered)
    missing = [no for no, name, _ in waiting if name not in present]
    for no in missing:
        async with database.connection() as connection:
            row = await files.get(connection, no)
        assert row is not None
        built = await recreate(database, row)
        await asyncio.to_thread(folder.write, row.name, built.octets)
    for name in present - {name for _, name, _ in waiting}:
        await asyncio.to_thread(folder.retire, name)
    if fresh := [no for no, _, offered in waiting if not offered]:
        await database.run(lambda tx: files.mark(tx, "offered_at", fresh))
    return len(missing)


async def resend(database: Database, folder: Folder, row: files.FileRow) -> None:
    """Offer a file once more under its own name, whatever was acknowledged before."""
    built = await recreate(database, row)
    await database.run(lambda tx: files.offer_again(tx, row.head.no))
    await asyncio.to_thread(folder.write, row.name, built.octets)
    await database.run(lambda tx: files.mark(tx, "offered_at", [row.head.no]))
    log.info("file_offered_again", no=row.head.no, name=row.name)


async def verify(database: Database, folder: Folder, row: files.FileRow) -> Verified:
    """Compare the file's row with its rows and with the disk."""
    async with database.connection() as connection:
        built = await _built(connection, row.head, await files.ids_of(connection, row.head.no))
    stored = await asyncio.to_thread(folder.read, row.name)
    return Verified(
        rows_agree=built.sha256 == row.sha256 and built.records == row.records and built.total == row.total,
        on_disk=stored is not None,
        disk_agrees=stored == built.octets,
        sha256=built.sha256.hex(),
    )


async def _built(connection: Connection, head: Head, ids: list[int]) -> Built:
    content = await files.content(connection, ids)
    return await asyncio.to_thread(build, head, content.lines, content.total)
