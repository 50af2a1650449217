"""Files in PostgreSQL: numbered without gaps, and everything their octets are made of."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

from billing_sync.domain.record import Answered, Built, Head, Price, line
from billing_sync.domain.tariff import Tariff, charge
from billing_sync.domain.vector import Stage
from billing_sync.store import tariffs
from contracts.ids import segment_id
from servicekit.database import Connection

_SEGMENT_BITS = 8
"""Segments are numbered to 255 (`domain.vector`), so index and segment make one number."""

_ANSWERED = ("tenant", "enterprise", "lane", "link", "carrier", "protocol", "at", "tariff", "totals", "recipients",
             "senders", "carrier_ids", "task_ids", "refs")  # fmt: skip

_LOCK = 0x62696C6C66696C65  # "billfile": one writer of files over all processes


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file as its row says."""

    head: Head
    name: str
    records: int
    total: Decimal
    octets: int
    sha256: bytes
    made_at: datetime
    published_at: datetime | None
    offered_at: datetime | None
    fetched_at: datetime | None
    acked_at: datetime | None
    refusal: str
    bad_lines: list[Any]
    resent: int

    @property
    def state(self) -> str:
        """How far it is: made, offered, fetched, acknowledged, refused."""
        if self.acked_at is not None:
            return "acknowledged"
        if self.refusal:
            return "refused"
        if self.fetched_at is not None:
            return "fetched"
        return "offered" if self.offered_at is not None else "made"


@dataclass(frozen=True, slots=True)
class Choice:
    """Closures that make the next file."""

    ids: list[int]
    begin: int
    end: int


@dataclass(slots=True)
class Charged:
    """Records of a file that are told in one event: of one chunk, class and tariff; lists run in parallel."""

    tenant: str
    enterprise: str
    indices: list[int] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)
    amounts: list[str] = field(default_factory=list)
    trace: str = ""
    """W3C traceparent of the first record whose trace is followed, else empty."""


Groups: TypeAlias = dict[tuple[str, str, str], Charged]
"""Records by (chunk, class, tariff)."""


@dataclass(slots=True)
class Content:
    """What a file is made of: its lines in their order, their sum, and the same records as events tell them."""

    lines: list[str] = field(default_factory=list)
    total: Decimal = Decimal(0)
    charged: Groups = field(default_factory=dict)


async def lock(tx: Connection) -> None:
    """Wait to be the only one who makes files, until the transaction ends."""
    await tx.execute("select pg_advisory_xact_lock($1)", _LOCK)


async def choose(tx: Connection, now_ms: int, interval_ms: int, most: int) -> Choice | None:
    """Return the closures of the oldest interval that is over or full; None while there is no such.

    A file has records of one interval only.  A full file is cut at ``most`` records; the rest of its interval makes
    another.
    """
    oldest = await tx.fetchval("select min(at) from closure where file_no is null")
    if oldest is None:
        return None
    begin = oldest - oldest % interval_ms
    end = begin + interval_ms
    rows = await tx.fetch(
        "select id, cardinality(indices) as records from closure "
        "where file_no is null and at >= $1 and at < $2 order by at, id limit $3",
        begin,
        end,
        most + 1,
    )
    ids: list[int] = []
    records = 0
    for row in rows:
        if ids and records + row["records"] > most:
            return Choice(ids, begin, end)
        ids.append(row["id"])
        records += row["records"]
    return Choice(ids, begin, end) if now_ms >= end or records >= most else None


async def insert(tx: Connection, head: Head, built: Built, ids: Sequence[int]) -> None:
    """Store the file's row and give its number to the closures."""
    await tx.execute(
        "insert into file (no, name, node, encoding, begin_at, end_at, records, total, octets, sha256) "
        "values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        head.no, head.name, head.node, head.encoding, head.begin, head.end, built.records, built.total,
        len(built.octets), built.sha256,
    )  # fmt: skip
    await tx.execute("update closure set file_no = $1 where id = any($2)", head.no, list(ids))


async def next_no(tx: Connection) -> int:
    """Return the next number; only under `lock`."""
    return int(await tx.fetchval("select coalesce(max(no), 0) + 1 from file"))


async def content(connection: Connection, ids: Sequence[int]) -> Content:
    """Return the records of closures, in the order in which they stand in their file."""
    closures = await connection.fetch(
        "select chunk_id, indices, segments, stages, codes, done_at, marked, trace from closure "
        "where id = any($1) order by at, id",
        list(ids),
    )
    answers = await connection.fetch(
        "select * from answer where chunk_id = any($1)", list({row["chunk_id"] for row in closures})
    )
    versions = await tariffs.by_number(connection, [row["tariff"] for row in answers])
    # Ten thousand records take some 40 ms: aside, so that the probes and the SFTP server go on.
    return await asyncio.to_thread(_compose, closures, answers, _Prices(versions))


def _compose(closures: Sequence[Any], answers: Sequence[Any], prices: _Prices) -> Content:
    opened = _opened(answers)
    made = Content()
    number = 0
    for closure in closures:
        chunk_id = closure["chunk_id"].hex
        places = opened[closure["chunk_id"]]
        group, last = None, ("", "")
        columns = (closure[name] for name in ("indices", "segments", "stages", "codes", "done_at", "marked"))
        for index, segment, stage, code, done_at, marked in zip(*columns, strict=True):
            answer, position = places[index << _SEGMENT_BITS | segment]
            price = prices.of(answer, position, stage)
            number += 1
            made.lines.append(
                line(
                    number,
                    segment_id(chunk_id, index, segment),
                    answer.fields(position, segment),
                    price=price,
                    done_at=done_at,
                    code=code,
                    marked=marked,
                )
            )
            made.total += price.amount
            if group is None or last != (answer.lane, price.tariff):
                last = (answer.lane, price.tariff)
                group = made.charged.setdefault((chunk_id, *last), Charged(answer.tenant, answer.enterprise))
                group.trace = group.trace or closure["trace"] or ""
            group.indices.append(index)
            group.segments.append(segment)
            group.amounts.append(price.text)
    return made


def _opened(answers: Sequence[Any]) -> dict[UUID, dict[int, tuple[Answered, int]]]:
    """Return, by chunk and segment, the batch of answers a segment is in and its position there."""
    found: dict[UUID, dict[int, tuple[Answered, int]]] = {}
    for row in answers:
        answered = Answered(**{name: row[name] for name in _ANSWERED})
        places = found.setdefault(row["chunk_id"], {})
        for position, (index, segment) in enumerate(zip(row["indices"], row["segments"], strict=True)):
            places[index << _SEGMENT_BITS | segment] = (answered, position)
    return found


async def ids_of(connection: Connection, no: int) -> list[int]:
    """Return the closures of a file."""
    rows = await connection.fetch("select id from closure where file_no = $1 order by at, id", no)
    return [row["id"] for row in rows]


async def filed_of(connection: Connection, chunk_id: UUID) -> dict[int, list[int]]:
    """Return the closures of a chunk that are in files, by file number, in the order in which they stand there."""
    rows = await connection.fetch(
        "select file_no, id from closure where chunk_id = $1 and file_no is not null order by file_no, at, id", chunk_id
    )
    found: dict[int, list[int]] = {}
    for row in rows:
        found.setdefault(row["file_no"], []).append(row["id"])
    return found


async def get(connection: Connection, no: int) -> FileRow | None:
    """Return one file."""
    row = await connection.fetchrow("select * from file where no = $1", no)
    return None if row is None else _file(row)


async def by_name(connection: Connection, name: str) -> FileRow | None:
    """Return one file by its name."""
    row = await connection.fetchrow("select * from file where name = $1", name)
    return None if row is None else _file(row)


async def newest(connection: Connection, before: int, limit: int) -> list[FileRow]:
    """Return files with a smaller number than ``before``, the newest first."""
    rows = await connection.fetch("select * from file where no < $1 order by no desc limit $2", before, limit)
    return [_file(row) for row in rows]


async def unacknowledged(connection: Connection) -> list[tuple[int, str, bool]]:
    """Return (number, name, whether ever offered) of the files that are to be offered, in order."""
    rows = await connection.fetch("select no, name, offered_at from file where acked_at is null order by no")
    return [(row["no"], row["name"], row["offered_at"] is not None) for row in rows]


async def unpublished(connection: Connection, limit: int) -> list[FileRow]:
    """Return the files whose events are not acknowledged."""
    rows = await connection.fetch("select * from file where published_at is null order by no limit $1", limit)
    return [_file(row) for row in rows]


async def mark(tx: Connection, column: str, numbers: Sequence[int]) -> None:
    """Set the first moment of ``column``: published_at, offered_at or fetched_at."""
    statements = {
        "published_at": "update file set published_at = now() where no = any($1) and published_at is null",
        "offered_at": "update file set offered_at = now() where no = any($1) and offered_at is null",
        "fetched_at": "update file set fetched_at = now() where no = any($1) and fetched_at is null",
    }
    await tx.execute(statements[column], list(numbers))


async def acknowledge(tx: Connection, no: int, refusal: str, bad_lines: Sequence[tuple[int, str]]) -> None:
    """Record an acknowledgement (empty ``refusal``) or a refusal; the same again changes nothing."""
    await tx.execute(
        "update file set acked_at = case when $2 = '' then coalesce(acked_at, now()) else acked_at end, "
        "refusal = case when acked_at is null then $2 else refusal end, bad_lines = $3 where no = $1",
        no,
        refusal,
        [list(line) for line in bad_lines],
    )


async def offer_again(tx: Connection, no: int) -> None:
    """Forget acknowledgement and refusal: the file is to be fetched once more, under its own name."""
    await tx.execute(
        "update file set acked_at = null, fetched_at = null, offered_at = null, refusal = '', bad_lines = '[]', "
        "resent = resent + 1 where no = $1",
        no,
    )


def _file(row: Any) -> FileRow:
    head = Head(no=row["no"], node=row["node"], begin=row["begin_at"], end=row["end_at"], encoding=row["encoding"])
    names = ("name", "records", "total", "octets", "sha256", "made_at", "published_at", "offered_at", "fetched_at",
             "acked_at", "refusal", "bad_lines", "resent")  # fmt: skip
    return FileRow(head, **{name: row[name] for name in names})


class _Prices:
    """What a segment costs, worked out once for each kind of segment in a file."""

    def __init__(self, versions: dict[int, Tariff]) -> None:
        self._versions = versions
        self._known: dict[tuple[int, str, str, str, int], Price] = {}

    def of(self, answer: Answered, position: int, stage: int) -> Price:
        sender = answer.sender(position)
        key = (answer.tariff, answer.lane, sender, answer.carrier, stage)
        known = self._known.get(key)
        if known is None:
            version, final = self._versions[answer.tariff], Stage(stage)
            cost = charge(version, lane=answer.lane, sender=sender, carrier=answer.carrier, stage=final)
            known = self._known[key] = Price(
                state=final.label,
                fee_type=cost.fee_type,
                fee_code=cost.fee_code,
                tariff=version.version,
                amount=cost.amount,
            )
        return known
