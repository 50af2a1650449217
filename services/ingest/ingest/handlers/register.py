"""The register in memory: loaded at start, again whenever its version moves, and found by the digest of a key.

While PostgreSQL is away the last snapshot stays in force; nothing can be accepted then anyway.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import structlog

from ingest.adapters.seal import Sealer
from ingest.domain.register import EMPTY, Key, Register
from ingest.store import register as store
from servicekit.clock import Clock
from servicekit.database import Database, DatabaseUnavailable

POLL_S = 0.5
"""A revoked key is refused by every process within this time (and at once by the one that revoked it)."""

log = structlog.get_logger()


class RegisterCache:
    """The snapshot in force; a lifecycle component that keeps it fresh."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._stopped = asyncio.Event()
        self._secrets: dict[str, tuple[bytes, bytes]] = {}
        self.current: Register = EMPTY

    def find(self, key_text: str) -> Key | None:
        """Return the key in force with this text, or None."""
        now = datetime.fromtimestamp(self._clock.wall_ms() / 1000, UTC)
        return self.current.find(self._sealer.digest(key_text), now)

    def by_id(self, key_id: str) -> Key | None:
        """Return the key in force with this id, or None."""
        return next((key for key in self.current.keys.values() if key.key_id == key_id), None)

    def secret(self, key: Key) -> bytes:
        """Return the key's signing secret, decrypted once."""
        known = self._secrets.get(key.key_id)
        if known is None or known[0] != key.sealed_secret:
            known = self._secrets[key.key_id] = (key.sealed_secret, self._sealer.open(key.sealed_secret))
        return known[1]

    async def reload(self) -> None:
        """Load the register now."""
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            self.current = await store.load(connection)
        log.info("register_loaded", version=self.current.version, keys=len(self.current.keys))

    async def run(self) -> None:
        """Watch the version until stopped."""
        while not self._stopped.is_set():
            try:
                async with self._database.connection() as connection:
                    version = await store.version(connection)
                if version != self.current.version:
                    await self.reload()
            except DatabaseUnavailable as error:
                log.warning("register_not_checked", reason=str(error))
            try:
                async with asyncio.timeout(POLL_S):
                    await self._stopped.wait()
            except TimeoutError:
                continue

    async def stop(self) -> None:
        """Stop watching."""
        self._stopped.set()
