"""The periodic work: terms, files, the outgoing folder, acknowledgements.  One loop; every step may be repeated
harmlessly.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from billing_sync.adapters.folder import Folder
from billing_sync.handlers import acknowledgements, closing, files
from billing_sync.handlers.files import Recent, Shape
from servicekit.clock import Clock
from servicekit.database import Database, DatabaseUnavailable

log = structlog.get_logger()


class Clerk:
    """A lifecycle component."""

    def __init__(
        self,
        *,
        database: Database,
        folder: Folder,
        shape: Shape,
        recent: Recent,
        term_ms: int,
        clock: Clock,
        tick_s: float,
    ) -> None:
        """Work every ``tick_s`` seconds; ``term_ms`` after its answer a segment is closed as unknown."""
        self._database = database
        self._folder = folder
        self._shape = shape
        self._recent = recent
        self._term_ms = term_ms
        self._clock = clock
        self._tick_s = tick_s
        self._stopping = asyncio.Event()
        self._trouble: str | None = None

    async def once(self) -> None:
        """Do all that is due now."""
        now = self._clock.wall_ms()
        await closing.close_overdue(self._database, now, self._term_ms)
        await files.make_due(self._database, self._folder, self._shape, now, self._recent)
        await files.offer(self._database, self._folder)
        await acknowledgements.read_all(self._database, self._folder)

    async def run(self) -> None:
        """Work until `stop`; an outage of the database is waited out, anything else ends the process."""
        while not self._stopping.is_set():
            try:
                await self.once()
                self._trouble = None
            except DatabaseUnavailable as error:
                self._trouble = "the database is away"
                log.warning("clerk_waiting", reason=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._tick_s):
                    await self._stopping.wait()

    async def stop(self) -> None:
        """Begin no further round."""
        self._stopping.set()

    async def probe(self) -> str | None:
        """Say why no files are made at the moment."""
        return self._trouble
