"""Who may screen beside whom: batches of different enterprises at the same time, of one enterprise one after the other.

Windows and caps are counted per enterprise, so batches without a common one cannot see each other's counts, and the order of the
log is theirs whoever is acknowledged first (docs/decisions, "An effect may be one call, and lanes are screened side by side").
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager


class Turns:
    """Locks by name, any number of them taken at once, and one over all of them."""

    def __init__(self) -> None:
        self._held: set[str] = set()
        self._batches = 0
        self._alone = False
        self._wanting_all = 0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def of(self, names: Iterable[str]) -> AsyncIterator[None]:
        """Wait until none of these is held, and hold them."""
        wanted = frozenset(names)
        async with self._changed:
            await self._changed.wait_for(
                lambda: not self._alone and not self._wanting_all and self._held.isdisjoint(wanted)
            )
            self._held |= wanted
            self._batches += 1
        try:
            yield
        finally:
            async with self._changed:
                self._held -= wanted
                self._batches -= 1
                self._changed.notify_all()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Wait until nothing is held, and let nobody else begin: who comes later waits."""
        async with self._changed:
            self._wanting_all += 1
            try:
                await self._changed.wait_for(lambda: not self._alone and not self._batches)
            finally:
                self._wanting_all -= 1
                self._changed.notify_all()
            self._alone = True
        try:
            yield
        finally:
            async with self._changed:
                self._alone = False
                self._changed.notify_all()
