"""Saying again which segments of a chunk are charged, when ingest has not heard of it: the bus may lose what it acknowledged.

The events are those of the files, under the same ids; what is in no file yet is said when it is.
"""

from __future__ import annotations

from uuid import UUID

from billing_sync.handlers.outboxes import Filed, FileOutbox
from billing_sync.store import files
from bus.handling import Effect
from bus.producer import Outgoing
from bus.records import Batch, Invalid
from contracts import topics
from contracts.events.ingest import OutcomesMissed
from servicekit.database import Connection


class ChargesAgain:
    """The handler of `ingest.missed` (offsets ``after_publish``)."""

    def __init__(self, stage: str = topics.CHARGED) -> None:
        """Publish to the lanes of ``stage``."""
        self._outbox = FileOutbox(stage)

    async def effect(self, tx: Connection, batch: Batch) -> Effect:
        """Return the charges of the chunks asked about; nothing is changed here."""
        publish: list[Outgoing] = []
        invalid: list[Invalid] = []
        for record in batch:
            missed: OutcomesMissed = record.data
            if not missed.uncharged:
                continue
            try:
                chunk_id = UUID(hex=missed.chunk_id)
            except ValueError:
                invalid.append(Invalid(record, "chunk_id_invalid", "the chunk id is not 32 hex digits"))
                continue
            for number, ids in (await files.filed_of(tx, chunk_id)).items():
                row = await files.get(tx, number)
                assert row is not None, "a closure's file is in the table: the foreign key says so"
                publish += self._outbox.events(Filed(row, (await files.content(tx, ids)).charged))
        return Effect(publish=publish, invalid=invalid)
