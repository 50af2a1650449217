"""The status projector: events of all later stages become states, timelines, webhooks, replies and tariffs.

One transaction a batch: the journal says which events are new, the chunks' states are locked, changed in memory and written back, the
webhook rows join in; the consumer's offset moves with it.  No statement is per message.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from uuid import UUID

import asyncpg
import msgspec
import structlog
from opentelemetry.trace import Span

from bus.consumer import Effect
from bus.records import Batch, Invalid, Record
from contracts.envelope import Envelope, encode
from contracts.events.billing import TariffActivated
from contracts.events.dispatch import MessageReceived, OptedOut
from contracts.ids import message_id
from contracts.states import State
from ingest import metrics
from ingest.domain.projection import CHUNK_EVENTS, ChunkState, apply
from ingest.store import projection, webhooks
from ingest.store.projection import JournalRow, StateRow
from ingest.store.webhooks import NewHook
from servicekit.database import Connection

log = structlog.get_logger()

Hook = tuple[int, int, int, str, str]
"""(first, count, webhook target, task id, ref)."""

_hooks_decoder = msgspec.msgpack.Decoder(list[Hook])
_LABELS = {state.value: state.label for state in State}


class Projector:
    """Handler of everything that carries a chunk id."""

    async def effect(self, tx: Connection, batch: Batch) -> Effect:
        """Apply the batch; an event seen before changes nothing, one on a foreign chunk is counted and passed over."""
        begun = time.perf_counter()
        known, invalid = _sorted_out(batch.records)
        if known:
            await _project(tx, known)
        metrics.PROJECT_SECONDS.observe(time.perf_counter() - begun)
        return Effect(invalid=invalid)


def _sorted_out(records: Sequence[Record]) -> tuple[list[tuple[UUID, Record]], list[Invalid]]:
    known: list[tuple[UUID, Record]] = []
    invalid: list[Invalid] = []
    for record in records:
        if type(record.data) not in CHUNK_EVENTS:
            invalid.append(Invalid(record, "unexpected_type", f"{record.envelope.type} does not belong on this topic"))
            continue
        try:
            known.append((UUID(hex=record.data.chunk_id), record))
        except ValueError:
            invalid.append(Invalid(record, "chunk_id_invalid", "the chunk id is not 32 hex digits"))
    return known, invalid


async def _project(tx: Connection, known: Sequence[tuple[UUID, Record]]) -> None:
    # Locked first: a chunk that is not here must not leave a journal row, and the lock serialises events on one chunk.
    ids = sorted({chunk_id for chunk_id, _ in known})
    rows = {row["chunk_id"]: row for row in await projection.lock_states(tx, ids)}
    ours = []
    for chunk_id, record in known:
        if chunk_id in rows:
            ours.append((chunk_id, record))
        else:
            metrics.UNKNOWN_CHUNKS.labels(record.envelope.type).inc()
            log.warning("event_on_unknown_chunk", chunk_id=chunk_id.hex, type=record.envelope.type)
    if not ours:
        return
    fresh = await projection.add_to_journal(tx, [_journal_row(chunk_id, record) for chunk_id, record in ours])
    states: dict[UUID, ChunkState] = {}
    for chunk_id, record in ours:
        place = (chunk_id, record.envelope.id)
        if place not in fresh:
            metrics.REPEATED.labels(record.envelope.type).inc()
            continue
        fresh.discard(place)
        state = states.get(chunk_id)
        if state is None:
            row = rows[chunk_id]
            state = states[chunk_id] = ChunkState(row["state"], row["segs"], row["uncharged"])
        apply(state, record.data)
        if record.span is not None:
            _say(record.span, chunk_id, state)
        metrics.PROJECTED.labels(record.envelope.type).inc()
    if not states:
        return
    await projection.write_states(
        tx,
        [
            StateRow(
                chunk_id, bytes(state.vector), state.packed_segments(), state.uncharged, state.waiting, state.unsettled
            )
            for chunk_id, state in states.items()
        ],
    )
    at = max(record.envelope.occurred_at for _, record in ours)
    hooks = [
        hook
        for chunk_id, state in states.items()
        if rows[chunk_id]["hooks"] is not None
        for hook in _hooks(rows[chunk_id], state, at)
    ]
    if hooks:
        await webhooks.insert(tx, hooks)


def _say(span: Span, chunk_id: UUID, state: ChunkState) -> None:
    """Say in a followed trace where the chunk's messages are after the event."""
    span.set_attribute("chunk_id", chunk_id.hex)
    for value, count in Counter(state.vector).items():
        span.set_attribute(f"messages.{_LABELS[value]}", count)


def _journal_row(chunk_id: UUID, record: Record) -> JournalRow:
    envelope = record.envelope
    return JournalRow(chunk_id, envelope.id, envelope.type, _at(envelope), record.raw.value or encode(envelope))


def _at(envelope: Envelope[object]) -> int:
    return getattr(envelope.data, "at", None) or envelope.occurred_at


def _hooks(row: asyncpg.Record, state: ChunkState, at: int) -> list[NewHook]:
    """Return what must be told: messages that came into a final state, or from one final state into another."""
    chunk_id: UUID = row["chunk_id"]
    before: bytes = row["state"]
    found = []
    for first, count, target_id, task_id, ref in _hooks_decoder.decode(row["hooks"]):
        changed = [
            index
            for index in range(first, first + count)
            if before[index] != state.vector[index] and state.vector[index] >= State.BLOCKED
        ]
        if not changed:
            continue
        changes = [
            {
                "id": message_id(chunk_id.hex, index),
                "task_id": task_id,
                "state": _LABELS[state.vector[index]],
                "code": state.codes.get(index, ""),
                "at": at,
                "ref": ref,
            }
            for index in changed
        ]
        found.append(NewHook(target_id, chunk_id, changed, msgspec.json.encode(changes)))
    return found


class ControlProjector:
    """Handler of what carries no chunk: replies, opt-outs, tariffs."""

    async def effect(self, tx: Connection, batch: Batch) -> Effect:
        """Store them; a known one stays as it is."""
        invalid: list[Invalid] = []
        replies: list[tuple[object, ...]] = []
        opt_outs: list[tuple[object, ...]] = []
        tariffs: list[tuple[object, ...]] = []
        for record in batch.records:
            event, tenant = record.data, record.envelope.tenant
            if isinstance(event, MessageReceived):
                try:
                    replies.append(_reply_row(tenant, event))
                except ValueError:
                    invalid.append(Invalid(record, "chunk_id_invalid", "the chunk id is not 32 hex digits"))
            elif isinstance(event, OptedOut):
                opt_outs.append((tenant, event.enterprise, event.port, event.number, event.at, event.word, event.mo_id))
            elif isinstance(event, TariffActivated):
                tariffs.append((tenant, event.version, event.valid_from, msgspec.json.encode(event)))
            else:
                invalid.append(Invalid(record, "unexpected_type", f"{record.envelope.type} does not belong here"))
        if replies:
            await projection.insert_replies(tx, replies)
        if opt_outs:
            await projection.insert_opt_outs(tx, opt_outs)
        if tariffs:
            await projection.insert_tariffs(tx, tariffs)
        return Effect(invalid=invalid)


def _reply_row(tenant: str, event: MessageReceived) -> tuple[object, ...]:
    chunk_id = UUID(hex=event.chunk_id) if event.chunk_id else None
    # PostgreSQL holds no NUL, and a phone may send one.
    text = event.text.replace("\0", "\ufffd")
    return (
        event.mo_id, tenant, event.enterprise, event.port, event.sender, text, event.at, chunk_id, event.index,
        event.action,
    )  # fmt: skip
