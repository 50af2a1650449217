"""Saying again what the bus lost after it acknowledged it: ingest asks by chunk, and names what it has heard.

The answers carry the ids they had the first time, so whoever did hear them counts nothing twice.  A report's own time at the carrier
is not kept in the journal; the time it was stored stands for it.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import asyncpg
import structlog

from bus.handling import Effect
from bus.records import Batch, Invalid
from contracts.events.dispatch import SegmentsAnswered, SegmentState
from contracts.events.ingest import OutcomesMissed
from dispatch import metrics
from dispatch.domain import outcomes
from dispatch.domain.linkconfig import carrier_of
from dispatch.domain.outcomes import Outgoing
from dispatch.domain.work import Head, Release
from dispatch.handlers.claiming import head_of, release_of
from dispatch.store import repeating
from dispatch.store.outbox import insert_events
from dispatch.store.repeating import Journal
from servicekit.clock import Clock
from servicekit.database import Connection

log = structlog.get_logger()


class Repeater:
    """Stateful handler of `ingest.missed`."""

    def __init__(self, *, clock: Clock, publish: Callable[[list[Outgoing]], None]) -> None:
        self._clock = clock
        self._publish = publish

    async def effect(self, tx: Connection, batch: Batch) -> Effect:
        """Put what was missed into the outbox once more."""
        events: list[Outgoing] = []
        invalid: list[Invalid] = []
        for record in batch:
            missed: OutcomesMissed = record.data
            try:
                chunk_id = UUID(hex=missed.chunk_id)
            except ValueError:
                invalid.append(Invalid(record, "chunk_id_invalid", "the chunk id is not 32 hex digits"))
                continue
            found = await self._again(tx, chunk_id, missed.seen)
            if found:
                log.warning("outcomes_said_again", chunk_id=chunk_id.hex, events=len(found))
                metrics.SAID_AGAIN.inc(len(found))
                events += found
        if events:
            await insert_events(tx, events, self._clock.wall_ms())
        return Effect(invalid=invalid, note=events)

    async def committed(self, batch: Batch, effect: Effect) -> None:
        """Publish at once."""
        del batch
        self._publish(effect.note)

    async def _again(self, tx: Connection, chunk_id: UUID, seen: list[str]) -> list[Outgoing]:
        journal = await repeating.journal(tx, chunk_id, seen)
        if not journal.releases:
            return []
        kept = [
            Outgoing(0, row["topic"], row["key"], row["type"], row["trace"], row["payload"]) for row in journal.said
        ]
        answers = _answers(journal)
        reports: list[Outgoing] = []
        if journal.reports:
            totals = await repeating.totals(tx, list(journal.releases))
            head = head_of(next(iter(journal.releases.values())))
            reports = [_report(head, row, totals) for row in journal.reports]
        return kept + answers + reports


def _answers(journal: Journal) -> list[Outgoing]:
    releases: dict[str, Release] = {}
    events = []
    for row in journal.answers:
        release = releases.get(row["release_id"])
        if release is None:
            release = releases[row["release_id"]] = release_of(journal.releases[row["release_id"]])
        event = _answered(row, release, journal)
        events.append(outcomes.outcome(release.head, event, "answered", row["id"], row["at"]))
    return events


def _answered(row: asyncpg.Record, release: Release, journal: Journal) -> SegmentsAnswered:
    chunk, indices, segments = release.chunk, row["indices"], row["segs"]
    uncertain = {(i, s) for r, i, s, grant in journal.resent if r == row["release_id"] and grant != row["grant_id"]}
    entries = [chunk.entry_of(index) for index in indices]
    return SegmentsAnswered(
        chunk_id=chunk.chunk_id,
        enterprise=chunk.enterprise,
        link=row["link"],
        slot=row["slot"],
        epoch=row["epoch"],
        batch=row["id"],
        at=row["at"],
        protocol=row["protocol"] or "",
        carrier=carrier_of(row["letters"] or ""),
        indices=indices,
        segments=segments,
        totals=row["totals"],
        statuses=row["statuses"],
        carrier_ids=row["carrier_ids"],
        recipients=row["recipients"],
        senders=release.senders if release.senders is not None else [entry.port for entry in entries],
        task_ids=release.task_ids if release.task_ids is not None else [entry.task_id for entry in entries],
        refs=release.refs if release.refs is not None else [entry.ref for entry in entries],
        resent=[place for place, pair in enumerate(zip(indices, segments, strict=True)) if pair in uncertain],
    )


def _report(head: Head, row: asyncpg.Record, totals: dict[tuple[int, int], int]) -> Outgoing:
    rows: list[tuple[int, int, int, SegmentState, str, int]] = [
        (index, seg, totals.get((index, seg), max(1, seg)), SegmentState(state), code, row["at"])
        for index, seg, state, code in zip(row["indices"], row["segs"], row["states"], row["codes"], strict=True)
    ]
    event = outcomes.reported(head, row["link"], row["id"], row["at"], rows)
    return outcomes.outcome(head, event, "reported", row["id"], row["at"])
