"""Tells open pages that the queue changed: PostgreSQL's NOTIFY from a trigger on the held tasks, whichever process moved them."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from console.live import Hub
from servicekit.database import Database, DatabaseUnavailable

log = structlog.get_logger()

CHANNEL = "review_queue"
_CHECK_S = 5.0
_AGAIN_S = 1.0


class Announcer:
    """A component: one connection that listens."""

    def __init__(self, database: Database, hub: Hub) -> None:
        """Take where it listens and whom it tells."""
        self._database = database
        self._hub = hub
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Listen until stopped; after an outage everybody is told to look again."""
        while not self._stopping.is_set():
            try:
                await self._listen()
            except (DatabaseUnavailable, OSError) as error:
                log.warning("announcer_waiting", reason=type(error).__name__)
                await self._pause(_AGAIN_S)

    async def stop(self) -> None:
        """Close the streams, so that the server can end."""
        self._hub.close()
        self._stopping.set()

    async def _listen(self) -> None:
        connection = await self._database.dedicated()
        lost = asyncio.Event()
        connection.add_termination_listener(lambda *_: lost.set())
        try:
            await connection.add_listener(CHANNEL, self._heard)
            self._hub.tell("queue")
            while not (self._stopping.is_set() or lost.is_set()):
                await self._pause(_CHECK_S, lost)
        finally:
            connection.terminate()

    def _heard(self, *_arguments: Any) -> None:
        self._hub.tell("queue")

    async def _pause(self, seconds: float, other: asyncio.Event | None = None) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (self._stopping, other) if event is not None]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
