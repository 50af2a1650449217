"""States and timelines shown to their owner; everything is computed when asked, from vectors and the journal."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from contracts.chunk import CARRIERS, Chunk
from contracts.envelope import Envelope, decode
from contracts.events.billing import TariffActivated
from contracts.ids import IdError, message_id, parse_message_id
from contracts.states import STATE_BY_LABEL, State
from ingest.domain import timeline, vectors
from ingest.domain.identity import single_of_task
from ingest.domain.register import Key
from ingest.store import reads
from servicekit.clock import Clock
from servicekit.database import Connection, Database
from servicekit.problems import INVALID_REQUEST, NOT_FOUND, Problem
from smstext import NumberError, normalise, parse

SCAN_CHUNKS = 40
"""Chunks (20,000 messages) looked through for one page; a page that found too few of them still has a cursor."""
DAY_MS = 86_400_000
MAX_NUMBER_CHUNKS = 100

_segs = msgspec.msgpack.Decoder(dict[int, bytes])
_tariff = msgspec.json.Decoder(TariffActivated)


class Shower:
    """Answers every question about what became of messages."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def task(self, key: Key, task_id: str) -> dict[str, Any]:
        """Return the task with counters by state; raises `Problem` (404)."""
        owner = _owner(key)
        single = single_of_task(task_id)
        async with self._database.connection() as connection:
            if single is not None:
                row = await _micro(connection, owner, *single)
                cancelled = await reads.cancelled_at(connection, UUID(hex=task_id))
                return _single_task(timeline.chunk_of(row["payload"]), single[1], row["state"], cancelled)
            row = await reads.task(connection, owner, UUID(hex=task_id))
            if row is None:
                raise Problem(NOT_FOUND)
            states = await reads.task_states(connection, [row["task_id"]])
            bad = await reads.rejected(connection, row["task_id"]) if row["rejected"] else None
        document = _task(row, vectors.count(each["state"] for each in states))
        document["rejected_sample"] = _rejected(bad, 0, 100) if bad else []
        return document

    async def tasks(self, key: Key, before: str, limit: int, ref: str) -> dict[str, Any]:
        """Return a page of the enterprise's tasks, newest first."""
        start = UUID(hex=before) if before else None
        async with self._database.connection() as connection:
            rows = await reads.tasks(connection, _owner(key), start, limit, ref)
            states = await reads.task_states(connection, [row["task_id"] for row in rows]) if rows else []
        by_task: dict[UUID, list[bytes]] = {row["task_id"]: [] for row in rows}
        for each in states:
            by_task[each["task_id"]].append(each["state"])
        items = [_task(row, vectors.count(by_task[row["task_id"]])) for row in rows]
        return {"items": items, "next": items[-1]["id"] if len(items) == limit else None}

    async def rejected(self, key: Key, task_id: str, start: int, limit: int) -> dict[str, Any]:
        """Return a page of the task's rejected recipients."""
        async with self._database.connection() as connection:
            row = await reads.task(connection, _owner(key), UUID(hex=task_id))
            if row is None:
                raise Problem(NOT_FOUND)
            bad = await reads.rejected(connection, row["task_id"])
        items = _rejected(bad, start, limit) if bad else []
        return {"items": items, "next": start + limit if len(items) == limit else None}

    async def messages(
        self, key: Key, task_id: str, *, after: str, limit: int, state: str, number: str
    ) -> dict[str, Any]:
        """Return a page of the task's messages in the order of their ids, filtered by state and number."""
        wanted = _state(state)
        recipient = _number(number) if number else None
        single = single_of_task(task_id)
        owner = _owner(key)
        async with self._database.connection() as connection:
            if single is not None:
                row = await _micro(connection, owner, *single)
                found = _matching(row, single[1], single[1] + 1, wanted, recipient, 1)
                return {"items": found if not after else [], "next": None}
            if await reads.task(connection, owner, UUID(hex=task_id)) is None:
                raise Problem(NOT_FOUND)
            return await _page(
                connection, UUID(hex=task_id), _message(after) if after else None, limit, wanted, recipient
            )

    async def message(self, key: Key, identifier: str) -> dict[str, Any]:
        """Return one message's whole timeline; raises `Problem` (404)."""
        chunk_id, index = _message(identifier)
        async with self._database.connection() as connection:
            row = await reads.chunk(connection, _owner(key), UUID(hex=chunk_id))
            if row is None or index >= len(row["state"]):
                raise Problem(NOT_FOUND)
            events = await reads.journal(connection, [row["chunk_id"]])
        return _document(row, index, [decode(each["envelope"], each["kind"]) for each in events])

    async def number(self, key: Key, number: str, since_ms: int | None) -> dict[str, Any]:
        """Return everything between the enterprise and a number: messages, replies, opt-outs; newest 100 chunks."""
        recipient = _number(number)
        now = self._clock.wall_ms()
        since = now - 30 * DAY_MS if since_ms is None else since_ms
        owner = _owner(key)
        async with self._database.connection() as connection:
            rows = await reads.chunks_with(connection, owner, recipient, since, now + DAY_MS, MAX_NUMBER_CHUNKS)
            journal = await reads.journal(connection, [row["chunk_id"] for row in rows]) if rows else []
            replies = await reads.replies(connection, owner, ports=(), number=recipient, after=(since, ""), limit=500)
            opt_outs = await reads.opt_outs(connection, owner, recipient)
        events: dict[UUID, list[Envelope[Any]]] = {}
        for each in journal:
            events.setdefault(each["chunk_id"], []).append(decode(each["envelope"], each["kind"]))
        messages = [
            _document(row, index, events.get(row["chunk_id"], []))
            for row in rows
            for index, each in enumerate(row["recipients"])
            if each == recipient
        ]
        return {
            "number": str(recipient),
            "messages": messages,
            "replies": [reply_document(row) for row in replies],
            "opt_outs": [dict(row) for row in opt_outs],
        }

    async def replies(self, key: Key, *, port: str, number: str, after: str, limit: int) -> dict[str, Any]:
        """Return a page of replies to the caller's ports, oldest first."""
        at, _, mo_id = after.partition(":")
        if after and not (at.isascii() and at.isdigit() and len(at) < 16):
            raise _invalid("after: 游标无效", "after: not a cursor")
        ports = [port] if port else key.caller.key_ports
        if port and key.caller.key_ports and not any(port.startswith(base) for base in key.caller.key_ports):
            return {"items": [], "next": None}
        async with self._database.connection() as connection:
            rows = await reads.replies(
                connection,
                _owner(key),
                ports=ports,
                number=_number(number) if number else None,
                after=(int(at), mo_id) if after else (0, ""),
                limit=limit,
            )
        items = [reply_document(row) for row in rows]
        return {"items": items, "next": f"{rows[-1]['at']}:{rows[-1]['mo_id']}" if len(rows) == limit else None}

    async def ledger(self, key: Key | None, since_ms: int | None, until_ms: int | None, task_id: str) -> dict[str, Any]:
        """Return in how many messages each state is; every accepted message is in exactly one."""
        now = self._clock.wall_ms()
        since = now - DAY_MS if since_ms is None else since_ms
        until = now + DAY_MS if until_ms is None else until_ms
        counts = vectors.count([])
        async with self._database.connection() as connection:
            if task_id:
                counts = await self._ledger_of(connection, key, task_id)
            else:
                owner = None if key is None else _owner(key)
                async for part in reads.states_since(connection, owner, since, until):
                    counts = vectors.add(counts, vectors.count(part))
        return {"since": since, "until": until, "accepted": sum(counts.values()), "states": counts}

    async def _ledger_of(self, connection: Connection, key: Key | None, task_id: str) -> dict[str, int]:
        single = single_of_task(task_id)
        if key is not None and single is not None:
            row = await _micro(connection, _owner(key), *single)
            return vectors.count([row["state"][single[1] : single[1] + 1]])
        if key is not None and await reads.task(connection, _owner(key), UUID(hex=task_id)) is None:
            raise Problem(NOT_FOUND)
        return vectors.count(row["state"] for row in await reads.task_states(connection, [UUID(hex=task_id)]))

    async def tariff(self, tenant: str) -> TariffActivated | None:
        """Return the tariff in force, or None when billing has not published any."""
        async with self._database.connection() as connection:
            body = await reads.tariff(connection, tenant, self._clock.wall_ms())
        return None if body is None else _tariff.decode(body)


def _owner(key: Key) -> tuple[str, str]:
    return key.tenant, key.enterprise


def _invalid(zh: str, en: str) -> Problem:
    return Problem(INVALID_REQUEST, zh=zh, en=en)


def _message(identifier: str) -> tuple[str, int]:
    try:
        return parse_message_id(identifier)
    except IdError as error:
        raise Problem(NOT_FOUND) from error


def _state(label: str) -> State | None:
    if label and label not in STATE_BY_LABEL:
        raise _invalid("state: 未知状态", f"state: one of {', '.join(STATE_BY_LABEL)}")
    return STATE_BY_LABEL[label] if label else None


def _number(text: str) -> int:
    try:
        return normalise(text[:64])
    except NumberError as fault:
        try:
            return parse(text[:64])[1]
        except NumberError:
            raise _invalid(fault.zh, fault.en) from fault


async def _micro(connection: Connection, owner: tuple[str, str], chunk_id: str, index: int) -> asyncpg.Record:
    """Return the micro-chunk of a single message's task; raises `Problem` (404)."""
    row = await reads.chunk(connection, owner, UUID(hex=chunk_id))
    if row is None or row["task_id"] is not None or index >= len(row["state"]):
        raise Problem(NOT_FOUND)
    return row


async def _page(
    connection: Connection,
    task_id: UUID,
    after: tuple[str, int] | None,
    limit: int,
    wanted: State | None,
    recipient: int | None,
) -> dict[str, Any]:
    chunk_id = UUID(hex=after[0]) if after else None
    rows = await reads.task_chunks(connection, task_id, chunk_id, SCAN_CHUNKS)
    items: list[dict[str, Any]] = []
    for row in rows:
        low = after[1] + 1 if after and row["chunk_id"] == chunk_id else 0
        items += _matching(row, low, len(row["state"]), wanted, recipient, limit - len(items))
        if len(items) == limit:
            return {"items": items, "next": items[-1]["id"]}
    if len(rows) == SCAN_CHUNKS:
        return {"items": items, "next": message_id(rows[-1]["chunk_id"].hex, len(rows[-1]["state"]) - 1)}
    return {"items": items, "next": None}


def _matching(
    row: asyncpg.Record, low: int, high: int, wanted: State | None, recipient: int | None, limit: int
) -> list[dict[str, Any]]:
    """Return the chunk's messages from ``low`` on that match, at most ``limit``."""
    state, recipients = row["state"], row["recipients"]
    segs = _segs.decode(row["segs"]) if row["segs"] else {}
    found: list[dict[str, Any]] = []
    for index in range(low, high):
        if len(found) == limit:
            break
        if (wanted is None or timeline.label(state[index]) == wanted.label) and (
            recipient is None or recipients[index] == recipient
        ):
            found.append(
                {
                    "id": message_id(row["chunk_id"].hex, index),
                    "to": str(recipients[index]),
                    "carrier": CARRIERS.get(row["carriers"][index], "unknown"),
                    "state": timeline.label(state[index]),
                    "segments": len(segs.get(index, b"\0")),
                }
            )
    return found


def _document(row: asyncpg.Record, index: int, events: list[Envelope[Any]]) -> dict[str, Any]:
    segs = _segs.decode(row["segs"]) if row["segs"] else {}
    chunk = timeline.chunk_of(row["payload"])
    document = timeline.document(chunk, index, row["state"][index], len(segs.get(index, b"\0")), events)
    document["traceparent"] = row["traceparent"]
    return document


def _task(row: asyncpg.Record, counts: dict[str, int]) -> dict[str, Any]:
    open_messages = sum(count for label, count in counts.items() if not STATE_BY_LABEL[label].final)
    return {
        "id": row["task_id"].hex,
        "class": row["lane"],
        "port": row["port"],
        "content": row["content"],
        "template_id": row["template_id"],
        "ref": row["ref"],
        "user": row["user_name"],
        "total": row["total"],
        "accepted": row["accepted"],
        "rejected": row["rejected"],
        "segments": {"total": row["segments_total"], "max": row["segments_max"]},
        "counts": counts,
        "finished": open_messages == 0,
        "not_before": row["not_before"],
        "expires_at": row["expires_at"],
        "callback_url": row["callback_url"],
        "created_at": row["created_at"],
        "cancelled_at": row["cancelled_at"],
    }


def _single_task(chunk: Chunk, index: int, state: bytes, cancelled: int | None) -> dict[str, Any]:
    entry = chunk.entry_of(index)
    counts = vectors.count([state[index : index + 1]])
    return {
        "id": entry.task_id,
        "class": chunk.lane.value,
        "port": entry.port,
        "content": chunk.text_of(index),
        "template_id": entry.template_id,
        "ref": entry.ref,
        "user": entry.user,
        "total": 1,
        "accepted": 1,
        "rejected": 0,
        "rejected_sample": [],
        "message_id": message_id(chunk.chunk_id, index),
        "counts": counts,
        "finished": State(state[index]).final,
        "not_before": entry.not_before,
        "expires_at": entry.expires_at,
        "created_at": chunk.accepted_at,
        "cancelled_at": cancelled,
    }


def _rejected(row: asyncpg.Record, start: int, limit: int) -> list[dict[str, Any]]:
    end = start + limit
    columns = zip(row["indices"][start:end], row["numbers"][start:end], row["reasons"][start:end], strict=True)
    return [{"index": index, "to": number, "reason": reason} for index, number, reason in columns]


def reply_document(row: asyncpg.Record) -> dict[str, Any]:
    """Return a reply as the API shows it."""
    return {
        "id": row["mo_id"],
        "port": row["port"],
        "from": str(row["sender"]),
        "text": row["body"],
        "at": row["at"],
        "message_id": message_id(row["chunk_id"].hex, row["index"]) if row["chunk_id"] else None,
        "action": row["action"],
    }
