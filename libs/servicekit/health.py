"""Health that means something: live is "the loop turns", ready is "every named check says well" (each within two
seconds).

A check never raises for an outage: it returns a sentence.  A check that raises or is late counts as not well and says
so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from servicekit.database import DatabaseUnavailable

if TYPE_CHECKING:
    from servicekit.database import Database

Probe = Callable[[], Awaitable[str | None]]
"""Returns None when well, else a sentence that says why not."""

PROBE_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Report:
    """What ``/health/ready`` answers: the verdict and, by name, what each check said (None: well).

    An advisory check speaks without a say in the verdict: something is wrong, and what the callers of this process want
    of it works none the less.
    """

    ready: bool
    checks: dict[str, str | None]


class Health:
    """The named checks of one process."""

    def __init__(self) -> None:
        self._probes: dict[str, Probe] = {}
        self._advisory: set[str] = set()
        self._stopping = False
        self._started = False
        self.since = time.time()

    def check(self, name: str, probe: Probe, *, advisory: bool = False) -> None:
        """Add a check; names are unique.  What an ``advisory`` one says is shown and decides nothing."""
        if name in self._probes:
            raise ValueError(f"health check {name!r} is added twice")
        self._probes[name] = probe
        if advisory:
            self._advisory.add(name)

    def add_database(self, database: Database, name: str = "database") -> None:
        """Add the check that the database answers a query."""

        async def probe() -> str | None:
            try:
                await database.fetchval("select 1")
            except DatabaseUnavailable as error:
                return str(error)
            return None

        self.check(name, probe)

    def started(self) -> None:
        """Say that start-up is complete; before, the process is not ready."""
        self._started = True

    def stopping(self) -> None:
        """Say that the process is going down; from now on it is not ready."""
        self._stopping = True

    async def report(self) -> Report:
        """Run all checks at once."""
        names = list(self._probes)
        answers = await asyncio.gather(*(_ask(self._probes[name]) for name in names))
        checks: dict[str, str | None] = dict(zip(names, answers, strict=True))
        if not self._started:
            checks["start"] = "starting"
        if self._stopping:
            checks["stop"] = "shutting down"
        return Report(all(answer is None or name in self._advisory for name, answer in checks.items()), checks)


async def _ask(probe: Probe) -> str | None:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            return await probe()
    except TimeoutError:
        return f"no answer within {PROBE_TIMEOUT_S:g} s"
    except Exception as error:  # noqa: BLE001 - a probe's own fault is an answer too: not ready, and why.
        return f"check failed: {type(error).__name__}"
