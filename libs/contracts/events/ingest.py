"""What ingest says: a chunk is durable and the caller was answered; a task was withdrawn."""

from __future__ import annotations

import msgspec

from contracts.chunk import Chunk


class ChunkAccepted(msgspec.Struct, frozen=True):
    """The chunk's row is committed; the caller was, or is about to be, answered `accepted`."""

    chunk: Chunk


class TaskCancelled(msgspec.Struct, frozen=True, omit_defaults=True):
    """The caller withdrew the task.  What is granted to a session already goes out; the rest ends as cancelled."""

    task_id: str
    enterprise: str
    at: int
    """Unix ms."""
    by: str = ""
    """Name of the API key or user."""


class OutcomesMissed(msgspec.Struct, frozen=True, omit_defaults=True):
    """Messages of this chunk have shown nothing new for too long: dispatch says again what ingest has not heard.

    The bus is transport and may lose what it acknowledged; what was said is in dispatch's journal and in charging's books.
    """

    chunk_id: str
    enterprise: str
    at: int
    """Unix ms; of a chunk that has shown nothing at all, when it was accepted."""
    seen: list[str] = []
    """Ids of dispatch's events on this chunk that are known, without the chunk's own id: `answered:4711`.  Empty: say all."""
    uncharged: bool = False
    """Everything is final and a charge was not heard of: charging, too, says again what it has charged of this chunk."""
