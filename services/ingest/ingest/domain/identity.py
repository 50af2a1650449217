"""Task and chunk ids of this service: how a single message's task is found without a row of its own.

Every id given here has its low ten bits clear.  The task of the single message ``index`` of a micro-chunk is the chunk's id plus
``index + 1``, so 8,000 single requests a second need no task table at all.  Boundary: entropy and time are arguments.
"""

from __future__ import annotations

from uuid import UUID

from contracts.chunk import MAX_MESSAGES
from contracts.ids import epoch_ms_of, new_id

_LOW_BITS = 10
_MASK = (1 << _LOW_BITS) - 1

assert MAX_MESSAGES < _MASK, "every message of a chunk needs a number of its own"


def fresh_id(epoch_ms: int, entropy: bytes) -> str:
    """Return a uuid7 as 32 hex digits with its low ten bits clear: 64 random bits remain beside the millisecond."""
    return f"{int(new_id(epoch_ms, entropy), 16) & ~_MASK:032x}"


def single_task_id(chunk_id: str, index: int) -> str:
    """Return the task id of the single message ``index`` of a micro-chunk."""
    return f"{int(chunk_id, 16) + index + 1:032x}"


def single_of_task(task_id: str) -> tuple[str, int] | None:
    """Return (chunk id, index) when the task is a single message's, else None: a bulk task has a row."""
    epoch_ms_of(task_id)  # refuses what is not an id at all
    number = int(task_id, 16)
    low = number & _MASK
    return (f"{number - low:032x}", low - 1) if low else None


def id_range(since_ms: int, until_ms: int) -> tuple[UUID, UUID]:
    """Return the least and greatest uuid7 given from ``since_ms`` to ``until_ms`` inclusive: the day partitions to look at."""
    return UUID(int=max(0, since_ms) << 80), UUID(int=(max(0, until_ms) << 80) | ((1 << 80) - 1))
