"""Records compared with answers, from the rows themselves: what proves that every accepted segment has exactly one
record.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from servicekit.database import Connection

SAMPLE = 100
"""Differences listed by name; all are counted."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts over the segments answered in a span of time."""

    answered: int
    """Accepted segments."""
    open: int
    """Of these, still waiting for a receipt."""
    closed: int
    """Records closed."""
    filed: int
    """Of these, in a file."""
    doubled_answers: int
    """Segments in more than one answer row: must be 0."""
    doubled_records: int
    """Segments with more than one record: must be 0."""
    missing: int
    """Answered, neither open nor closed: must be 0."""
    unfounded: int
    """Records without an answer: must be 0."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One segment that does not add up."""

    chunk_id: str
    index: int
    segment: int
    kind: str


_SEGMENTS = """
with wanted as (select distinct chunk_id from answer where at >= $1 and at < $2),
answered as (
    select a.chunk_id, u.i, u.s, count(*) as n from answer a join wanted using (chunk_id),
    unnest(a.indices, a.segments) as u(i, s) group by 1, 2, 3
),
closed as (
    select c.chunk_id, u.i, u.s, count(*) as n, count(c.file_no) as filed from closure c join wanted using (chunk_id),
    unnest(c.indices, c.segments) as u(i, s) group by 1, 2, 3
),
joined as (
    select coalesce(a.chunk_id, c.chunk_id) as chunk_id, coalesce(a.i, c.i) as i, coalesce(a.s, c.s) as s,
           coalesce(a.n, 0) as answers, coalesce(c.n, 0) as records, coalesce(c.filed, 0) as filed
    from answered a full join closed c on (a.chunk_id, a.i, a.s) = (c.chunk_id, c.i, c.s)
),
judged as (
    select j.*, case when j.answers > 0 and j.records = 0 then
        coalesce(get_byte(k.vector, j.i * k.stride + j.s - 1) & 159, 0) = 1 else false end as open
    from joined j join chunk k using (chunk_id)
)
"""

_FIGURES = (
    _SEGMENTS
    + """
select count(*) filter (where answers > 0) as answered,
       count(*) filter (where open) as open,
       count(*) filter (where records > 0) as closed,
       count(*) filter (where filed > 0) as filed,
       count(*) filter (where answers > 1) as doubled_answers,
       count(*) filter (where records > 1) as doubled_records,
       count(*) filter (where answers > 0 and records = 0 and not open) as missing,
       count(*) filter (where answers = 0 and records > 0) as unfounded
from judged
"""
)

_DIFFERENCES = (
    _SEGMENTS
    + """
select chunk_id, i, s, case when answers > 1 then 'doubled_answer' when records > 1 then 'doubled_record'
       when answers = 0 then 'unfounded' else 'missing' end as kind
from judged where answers > 1 or records > 1 or answers = 0 or (records = 0 and not open)
order by chunk_id, i, s limit $3
"""
)

_BY_CARRIER = """
select a.carrier, a.link, sum(cardinality(a.indices)) as segments from answer a
where a.at >= $1 and a.at < $2 group by 1, 2 order by 1, 2
"""


async def figures(connection: Connection, begin: int, end: int) -> Figures:
    """Return the counts for segments of chunks answered in [begin, end), Unix ms."""
    row = await connection.fetchrow(_FIGURES, begin, end)
    assert row is not None
    return Figures(**dict(row))


async def differences(connection: Connection, begin: int, end: int) -> list[Difference]:
    """Return the first segments that do not add up."""
    rows = await connection.fetch(_DIFFERENCES, begin, end, SAMPLE)
    return [Difference(row["chunk_id"].hex, row["i"], row["s"], row["kind"]) for row in rows]


async def by_carrier(connection: Connection, begin: int, end: int) -> list[tuple[str, str, int]]:
    """Return (carrier, link, accepted segments)."""
    return [(r["carrier"], r["link"], r["segments"]) for r in await connection.fetch(_BY_CARRIER, begin, end)]


async def filed_total(connection: Connection) -> tuple[int, int, int, Decimal]:
    """Return (files, greatest number, records, sum) over all files; files and greatest number are equal without
    gaps.
    """
    row = await connection.fetchrow(
        "select count(*) as files, coalesce(max(no), 0) as last, coalesce(sum(records), 0) as records, "
        "coalesce(sum(total), 0) as total from file"
    )
    assert row is not None
    return row["files"], row["last"], int(row["records"]), row["total"]
