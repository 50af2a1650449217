"""Everything the task page shows of one held task, gathered in one read.

Recipients come masked; showing one in full is an action of its own, which is recorded (`reveal`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import msgspec

import smstext
from contracts.chunk import CARRIERS
from contracts.events.spamfilter import ChunkScreened, Finding
from review.domain.content import similarity, unpack
from review.domain.hints import Hint, Piece, differences, hints
from review.handlers.decide import Actor
from review.store import audit, items, queue
from review.store.audit import Action
from servicekit.clock import Clock
from servicekit.database import Database

MONTH_MS = 30 * 86_400_000
_SAMPLES = 6
_SIMILAR = 5
_ALIKE = 2
_LIKE = 0.2
"""Shown as similar from here on: less than what counts as the same content (`NEAR`), because a person compares."""

_GRAVITY = {"block": 0, "hold": 1, "score": 2}

_decode = msgspec.json.Decoder(ChunkScreened).decode
_decode_finding = msgspec.json.Decoder(Finding).decode


@dataclass(slots=True)
class Recipient:
    """One recipient of the sample: his message's id and his number masked."""

    chunk_id: str
    index: int
    masked: str
    carrier: str
    text: str


@dataclass(slots=True)
class Found:
    """A finding as the reviewer sees it: the message that shows it first, and how many do."""

    finding: Finding
    text: str
    messages: int


@dataclass(slots=True)
class Similar:
    """An earlier task of like content and how it was decided."""

    row: asyncpg.Record
    score: float
    pieces: list[Piece]


@dataclass(slots=True)
class Inspection:
    """The task page's data.  ``segments`` are the parts as a phone receives them."""

    row: asyncpg.Record
    totals: dict[str, Any]
    segments: list[str]
    coding: str
    findings: list[Found]
    hints: list[Hint]
    samples: list[Recipient]
    siblings: list[asyncpg.Record]
    similar: list[Similar]
    port_history: dict[str, int]
    enterprise_history: dict[str, int]
    trail: list[Any]
    before: str | None
    after: str | None
    purged: bool = False
    variants: list[tuple[str, list[Piece]]] = field(default_factory=list)
    rounds: list[asyncpg.Record] = field(default_factory=list)
    """The other items of the same task."""
    texts: list[list[Piece]] = field(default_factory=list)
    """Further texts of the item, as they differ from the first."""


class Inspector:
    """Reads tasks for pages."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Take the database and the clock."""
        self._database = database
        self._clock = clock

    async def inspect(self, tenant: str, task: str) -> Inspection | None:
        """Return everything about a task of the tenant, or None."""
        async with self._database.connection() as connection:
            row = await items.find(connection, tenant, task)
            if row is None:
                return None
            since = self._clock.wall_ms() - MONTH_MS
            parts = await items.parts_of(connection, task)
            before, after = await queue.neighbours(connection, row)
            others = await queue.siblings(connection, row)
            segmentation = smstext.split(row["content"])
            samples, unrecorded, purged = _samples(parts)
            sights = await items.sights_of(connection, task)
            return Inspection(
                row=row,
                totals=await items.totals_of(connection, task),
                segments=list(segmentation.parts),
                coding=segmentation.coding.value,
                findings=_findings(sights) or [Found(finding, row["content"], 1) for finding in unrecorded],
                hints=hints(row["content"], row["lane"]),
                samples=samples,
                siblings=others,
                similar=_similar(row, await queue.decided_before(connection, row)),
                port_history=await queue.history(connection, tenant, "port", row["port"], since),
                enterprise_history=await queue.history(connection, tenant, "enterprise", row["enterprise"], since),
                trail=await audit.search(connection, tenant, subject=task, limit=20),
                before=before,
                after=after,
                purged=purged,
                variants=_variants(row["content"], others),
                rounds=await items.rounds_of(connection, row),
                texts=[
                    differences(row["content"], sight["text"])
                    for sight in sights
                    if sight["kind"] == "content" and sight["text"]
                ],
            )

    async def reveal(self, actor: Actor, task: str, chunk_id: str, index: int) -> str | None:
        """Return one recipient's number in full and record who asked; None when the task has no such message."""
        async with self._database.transaction() as tx:
            row = await items.find(tx, actor.tenant, task)
            if row is None:
                return None
            for part in await items.parts_of(tx, task):
                if part["chunk_id"].hex != chunk_id or index not in part["indices"] or not part["payload"]:
                    continue
                number = _decode(part["payload"]).chunk.recipients[index]
                detail = {"message": f"{chunk_id}-{index}", "number": smstext.mask(number)}
                action = Action(actor.name, actor.role, "number.reveal", task, detail)
                await audit.append(tx, actor.tenant, self._clock.wall_ms(), [action])
                return str(number)
        return None

    async def trail(self, tenant: str, **filters: Any) -> list[Any]:
        """Return audit records, newest first (`review.store.audit.search`)."""
        async with self._database.connection() as connection:
            return await audit.search(connection, tenant, **filters)


def _findings(sights: list[asyncpg.Record]) -> list[Found]:
    """Return the recorded findings, those that ask for most first."""
    found = [
        Found(_decode_finding(sight["finding"]), sight["text"], sight["messages"])
        for sight in sights
        if sight["finding"] is not None
    ]
    return sorted(found, key=lambda one: _GRAVITY.get(one.finding.level, len(_GRAVITY)))


def _samples(parts: list[asyncpg.Record]) -> tuple[list[Recipient], list[Finding], bool]:
    samples: list[Recipient] = []
    findings: list[Finding] = []
    purged = False
    for part in parts:
        if not part["payload"]:
            purged = True
            continue
        screened = _decode(part["payload"])
        chunk = screened.chunk
        mine = set(part["indices"])
        for judgement in screened.judgements:
            touched = range(judgement.first, judgement.first + judgement.count)
            if not findings and any(index in mine for index in touched):
                findings = list(judgement.findings)
        for index in part["indices"][: _SAMPLES - len(samples)]:
            number = chunk.recipients[index]
            carrier = CARRIERS[chunk.carriers[index]]
            samples.append(Recipient(chunk.chunk_id, index, smstext.mask(number), carrier, chunk.text_of(index)))
        if len(samples) >= _SAMPLES and findings:
            break
    return samples, findings, purged


def _similar(row: asyncpg.Record, decided: list[asyncpg.Record]) -> list[Similar]:
    mine = unpack(row["sketch"])
    scored = [(similarity(mine, unpack(other["sketch"])), other) for other in decided]
    close = sorted((pair for pair in scored if pair[0] >= _LIKE), key=lambda p: (-p[0], -p[1]["decided_at"]))
    shown: list[Similar] = []
    per_kind: Counter[tuple[int, str]] = Counter()
    for score, other in close:
        # Many copies of one content, decided alike, say no more than two of them.
        kind = (other["cluster"], other["state"])
        per_kind[kind] += 1
        if per_kind[kind] <= _ALIKE:
            shown.append(Similar(other, score, differences(other["content"], row["content"])))
        if len(shown) == _SIMILAR:
            break
    return shown


def _variants(content: str, others: list[asyncpg.Record]) -> list[tuple[str, list[Piece]]]:
    seen: dict[str, str] = {}
    for other in others:
        if other["content"] != content and other["content"] not in seen:
            seen[other["content"]] = other["task_id"]
        if len(seen) >= _SAMPLES:
            break
    return [(task, differences(content, text)) for text, task in seen.items()]
