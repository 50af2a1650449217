"""The tables that are outboxes: a file of its `SegmentsCharged`, a tariff of its `TariffActivated`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from billing_sync.domain.tariff import Tariff
from billing_sync.handlers.files import Recent
from billing_sync.store import files, tariffs
from bus.producer import Outgoing
from contracts import topics
from contracts.envelope import partition_key, wrap
from contracts.events.billing import SegmentsCharged, TariffActivated
from contracts.ids import event_id
from servicekit.database import Connection
from servicekit.telemetry import begin, is_sampled, traceparent_of


@dataclass(frozen=True, slots=True)
class Filed:
    """A file, or those of its lines that are of one chunk."""

    row: files.FileRow
    charged: files.Groups


class FileOutbox:
    """A file's row is the outbox of one `SegmentsCharged` per chunk, class and tariff in it."""

    def __init__(self, stage: str = topics.CHARGED, recent: Recent | None = None) -> None:
        """Publish to the lanes of ``stage``; ``recent`` spares reading what was made in this process."""
        self._recent = recent or Recent()
        self._stage = stage

    async def pending(self, connection: Connection, older_than_s: float, limit: int) -> list[Filed]:
        """Return unpublished files; there is no faster path than this relay."""
        rows = await files.unpublished(connection, limit)
        return [Filed(row, await self._charged(connection, row.head.no)) for row in rows]

    async def _charged(self, connection: Connection, no: int) -> files.Groups:
        charged = self._recent.take(no)
        if charged is None:
            charged = (await files.content(connection, await files.ids_of(connection, no))).charged
        return charged

    def events(self, row: Filed) -> list[Outgoing]:
        """Return the file's events."""
        return [self._event(row.row, *key, charged) for key, charged in row.charged.items()]

    async def mark(self, connection: Connection, rows: Sequence[Filed]) -> None:
        """Note that they are published."""
        await files.mark(connection, "published_at", [filed.row.head.no for filed in rows])

    def _event(self, row: files.FileRow, chunk_id: str, lane: str, tariff: str, charged: files.Charged) -> Outgoing:
        at = int(row.made_at.timestamp() * 1000)
        event = SegmentsCharged(
            chunk_id=chunk_id,
            file_no=row.head.no,
            file_name=row.name,
            at=at,
            tariff=tariff,
            indices=charged.indices,
            segments=charged.segments,
            amounts=charged.amounts,
        )
        envelope = wrap(
            event,
            id=event_id(chunk_id, "charged", f"{row.head.no}-{lane}-{tariff}"),
            key=partition_key(charged.tenant, charged.enterprise),
            tenant=charged.tenant,
            occurred_at=at,
            traceparent=_followed(row, chunk_id, charged),
        )
        return topics.lane_topic(self._stage, lane), envelope


def _followed(row: files.FileRow, chunk_id: str, charged: files.Charged) -> str:
    """Return the trace context of the records' event, with a span of its own where a trace is followed.

    Records that several events closed continue the trace of the first.
    """
    if not is_sampled(charged.trace):
        return ""
    span = begin("billing.charged", charged.trace, chunk_id=chunk_id, file_no=row.head.no, records=len(charged.indices))
    span.end()
    return traceparent_of(span)


class TariffOutbox:
    """A tariff's row is the outbox of its `TariffActivated`."""

    def __init__(self, topic: str = topics.TARIFFS) -> None:
        """Publish to ``topic``."""
        self._topic = topic

    async def pending(self, connection: Connection, older_than_s: float, limit: int) -> list[Tariff]:
        """Return unpublished tariffs."""
        return await tariffs.unpublished(connection, limit)

    def events(self, row: Tariff) -> list[Outgoing]:
        """Return the tariff's event."""
        activated = TariffActivated(
            version=row.version,
            valid_from=row.valid_from,
            currency=row.currency,
            per_segment=row.per_segment,
            free_lanes=row.free_lanes,
        )
        envelope = wrap(
            activated,
            id=f"{row.tenant}:tariff:{row.number}",
            key=row.tenant,
            tenant=row.tenant,
            occurred_at=row.valid_from,
        )
        return [(self._topic, envelope)]

    async def mark(self, connection: Connection, rows: Sequence[Tariff]) -> None:
        """Note that they are published."""
        await tariffs.mark_published(connection, rows)
