"""A task withdrawn by its caller: recorded, announced; what is under way to a carrier already goes out.

The states change when review and dispatch say what they stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from contracts.states import State
from ingest import problems
from ingest.domain.identity import single_of_task
from ingest.domain.register import Key
from ingest.store import accepts, reads
from ingest.store.outbox import Withdrawn
from servicekit.clock import Clock
from servicekit.database import Connection, Database
from servicekit.problems import NOT_FOUND, Problem


class Canceller:
    """Withdraws tasks."""

    def __init__(self, database: Database, clock: Clock, publish: Callable[[Sequence[Withdrawn]], None]) -> None:
        self._database = database
        self._clock = clock
        self._publish = publish

    async def cancel(self, key: Key, task_id: str) -> int:
        """Return when the task was withdrawn (Unix ms), now or before; raises `Problem` (404, 409)."""
        identity = UUID(hex=task_id)
        owner = (key.tenant, key.enterprise)
        async with self._database.transaction() as connection:
            vectors = await _states(connection, owner, task_id)
            if vectors is None:
                raise Problem(NOT_FOUND)
            before = await reads.cancelled_at(connection, identity)
            if before is not None:
                return before
            if all(State(octet).final for octet in set(b"".join(vectors))):
                raise Problem(problems.TASK_FINISHED)
            at = self._clock.wall_ms()
            mine = await accepts.insert_cancellation(connection, identity, *owner, key.name, at)
        if mine:
            self._publish([Withdrawn(identity, *owner, key.name, at)])
        return at


async def _states(connection: Connection, owner: tuple[str, str], task_id: str) -> list[bytes] | None:
    """Return the state vectors of the task's messages, None when the owner has no such task."""
    single = single_of_task(task_id)
    if single is None:
        identity = UUID(hex=task_id)
        if await reads.task(connection, owner, identity) is None:
            return None
        return [row["state"] for row in await reads.task_states(connection, [identity])]
    chunk = await reads.chunk(connection, owner, UUID(hex=single[0]))
    if chunk is None or chunk["task_id"] is not None or single[1] >= len(chunk["state"]):
        return None
    return [chunk["state"][single[1] : single[1] + 1]]
