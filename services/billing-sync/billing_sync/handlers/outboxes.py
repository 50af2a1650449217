"""The tables that are outboxes: a file of its `SegmentsCharged`, a tariff of its `TariffActivated`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from billing_sync.domain.tariff import Tariff
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
    lines: list[files.Line]


class FileOutbox:
    """A file's row is the outbox of one `SegmentsCharged` per chunk, class and tariff in it."""

    def __init__(self, stage: str = topics.CHARGED) -> None:
        """Publish to the lanes of ``stage``."""
        self._stage = stage

    async def pending(self, connection: Connection, older_than_s: float, limit: int) -> list[Filed]:
        """Return unpublished files; there is no faster path than this relay."""
        rows = await files.unpublished(connection, limit)
        return [Filed(row, await files.lines(connection, await files.ids_of(connection, row.head.no))) for row in rows]

    def events(self, row: Filed) -> list[Outgoing]:
        """Return the file's events."""
        groups: dict[tuple[str, str, str], list[files.Line]] = {}
        for line in row.lines:
            groups.setdefault((line.chunk_id, line.record.lane, line.record.tariff), []).append(line)
        return [self._event(row.row, *key, lines) for key, lines in groups.items()]

    async def mark(self, connection: Connection, rows: Sequence[Filed]) -> None:
        """Note that they are published."""
        await files.mark(connection, "published_at", [filed.row.head.no for filed in rows])

    def _event(self, row: files.FileRow, chunk_id: str, lane: str, tariff: str, lines: list[files.Line]) -> Outgoing:
        first = lines[0].record
        at = int(row.made_at.timestamp() * 1000)
        charged = SegmentsCharged(
            chunk_id=chunk_id,
            file_no=row.head.no,
            file_name=row.name,
            at=at,
            tariff=tariff,
            indices=[line.index for line in lines],
            segments=[line.record.segment for line in lines],
            amounts=[format(line.record.amount, "f") for line in lines],
        )
        envelope = wrap(
            charged,
            id=event_id(chunk_id, "charged", f"{row.head.no}-{lane}-{tariff}"),
            key=partition_key(first.tenant, first.enterprise),
            tenant=first.tenant,
            occurred_at=at,
            traceparent=_followed(row, chunk_id, lines),
        )
        return topics.lane_topic(self._stage, lane), envelope


def _followed(row: files.FileRow, chunk_id: str, lines: Sequence[files.Line]) -> str:
    """Return the trace context of the records' event, with a span of its own where a trace is followed.

    Records that several events closed continue the trace of the first.
    """
    parent = next((line.trace for line in lines if line.trace), "")
    if not is_sampled(parent):
        return ""
    span = begin("billing.charged", parent, chunk_id=chunk_id, file_no=row.head.no, records=len(lines))
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
