"""Notes when the billing system has read a file to its end."""

from __future__ import annotations

import asyncio

import structlog

from billing_sync.store import files
from servicekit.database import Connection, Database

QUEUE = 1_000
"""Names waiting to be noted; above it the oldest notes are enough, since each file is noted once."""

log = structlog.get_logger()


class FetchedNotes:
    """A lifecycle component between the SFTP server, which may not wait, and the database."""

    def __init__(self, database: Database) -> None:
        """Write to ``database``."""
        self._database = database
        self._names: asyncio.Queue[str | None] = asyncio.Queue(QUEUE)

    def offer(self, name: str) -> None:
        """Take a name; never waits."""
        if self._names.full():
            log.warning("fetched_not_noted", name=name)
            return
        self._names.put_nowait(name)

    async def run(self) -> None:
        """Note until `stop`."""
        while (name := await self._names.get()) is not None:
            await self._note(name)

    async def stop(self) -> None:
        """Note what is waiting, then end."""
        await self._names.put(None)

    async def _note(self, name: str) -> None:
        async def work(tx: Connection) -> int | None:
            row = await files.by_name(tx, name)
            if row is None:
                return None
            await files.mark(tx, "fetched_at", [row.head.no])
            return row.head.no

        no = await self._database.run(work, patience_s=3_600)
        log.info("file_fetched", no=no, name=name)
