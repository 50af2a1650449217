"""Books of chunks in PostgreSQL: loaded under lock, written back as arrays, in the transaction of the caller."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from billing_sync.domain.book import Answer, Book, Closure, Receipt
from billing_sync.domain.vector import Stage, Vector
from servicekit.arrays import flags, numbers, texts
from servicekit.database import Connection

_SELECT = """
select chunk_id, tenant, enterprise, stride, vector, first_open_at from chunk
where chunk_id = any($1) order by chunk_id for update
"""


async def load(tx: Connection, owners: dict[str, tuple[str, str]]) -> dict[str, Book]:
    """Return the locked books of the chunks; ``owners`` gives (tenant, enterprise) for those not seen before."""
    ids = [UUID(chunk_id) for chunk_id in sorted(owners)]
    rows = await tx.fetch(_SELECT, ids)
    if len(rows) < len(ids):
        known = {row["chunk_id"] for row in rows}
        fresh = [chunk_id for chunk_id in ids if chunk_id not in known]
        # Parts of one chunk may travel in two lanes: whoever inserts second waits here and then reads what the first
        # wrote.
        await tx.execute(
            "insert into chunk (chunk_id, tenant, enterprise, stride, vector, open, first_open_at) "
            "select id, tenant, enterprise, 1, '', 0, 0 "
            "from unnest($1::uuid[], $2::text[], $3::text[]) as t(id, tenant, enterprise) on conflict do nothing",
            fresh,
            [owners[chunk_id.hex][0] for chunk_id in fresh],
            [owners[chunk_id.hex][1] for chunk_id in fresh],
        )
        rows += await tx.fetch(_SELECT, fresh)
    books = {
        row["chunk_id"].hex: Book(
            chunk_id=row["chunk_id"].hex,
            vector=Vector(row["stride"], row["vector"]),
            tenant=row["tenant"],
            enterprise=row["enterprise"],
            first_open_at=row["first_open_at"],
        )
        for row in rows
    }
    await _load_early(tx, [book for book in books.values() if book.vector.early])
    return books


async def _load_early(tx: Connection, books: Sequence[Book]) -> None:
    if not books:
        return
    by_id = {book.chunk_id: book for book in books}
    rows = await tx.fetch(
        "select chunk_id, index, segment, code, done_at from early where chunk_id = any($1)", [UUID(k) for k in by_id]
    )
    for row in rows:
        by_id[row["chunk_id"].hex].early[row["index"], row["segment"]] = Receipt(row["code"], row["done_at"])


async def save(tx: Connection, books: Iterable[Book], before: dict[str, set[tuple[int, int]]]) -> None:
    """Write the books back with their new rows; ``before`` are the early receipts they were loaded with."""
    changed = list(books)
    vectors = [book.vector for book in changed]
    opens = [vector.open for vector in vectors]
    await tx.execute(
        "update chunk c set stride = n.stride, vector = n.vector, open = n.open, first_open_at = n.first_open_at "
        "from unnest($1::uuid[], $2::smallint[], $3::bytea[], $4::int[], $5::bigint[]) "
        "as n(chunk_id, stride, vector, open, first_open_at) where c.chunk_id = n.chunk_id",
        [UUID(book.chunk_id) for book in changed],
        [vector.stride for vector in vectors],
        [vector.octets for vector in vectors],
        opens,
        [book.first_open_at if number else 0 for book, number in zip(changed, opens, strict=True)],
    )
    answers = [_answer_row(answer) for book in changed for answer in book.answers]
    if answers:
        await tx.execute(_INSERT_ANSWERS, *map(list, zip(*answers, strict=True)))
    closures = [_closure_row(closure) for book in changed for closure in book.closures]
    if closures:
        await tx.execute(_INSERT_CLOSURES, *map(list, zip(*closures, strict=True)))
    await _save_early(tx, changed, before)


async def _save_early(tx: Connection, books: Sequence[Book], before: dict[str, set[tuple[int, int]]]) -> None:
    fresh = [
        (UUID(book.chunk_id), *key, receipt.code, receipt.done_at)
        for book in books
        for key, receipt in book.early.items()
        if key not in before.get(book.chunk_id, set())
    ]
    if fresh:
        await tx.copy_records_to_table("early", records=fresh)
    gone = [
        (UUID(book.chunk_id), *key)
        for book in books
        for key in before.get(book.chunk_id, set())
        if key not in book.early
    ]
    if gone:
        await tx.executemany("delete from early where chunk_id = $1 and index = $2 and segment = $3", gone)


async def overdue(tx: Connection, before_ms: int, limit: int) -> list[Book]:
    """Return locked books with segments open since before ``before_ms`` (Unix ms), the oldest first."""
    rows = await tx.fetch(
        "select chunk_id, tenant, enterprise from chunk where open > 0 and first_open_at <= $1 "
        "order by first_open_at limit $2 for update skip locked",
        before_ms,
        limit,
    )
    if not rows:
        return []
    return list((await load(tx, {r["chunk_id"].hex: (r["tenant"], r["enterprise"]) for r in rows})).values())


async def open_segments(tx: Connection, books: Sequence[Book]) -> dict[str, list[tuple[int, int, int]]]:
    """Return (answered at, index, segment) of every open segment of the books."""
    by_id = {book.chunk_id: book for book in books}
    rows = await tx.fetch(
        "select chunk_id, at, indices, segments from answer where chunk_id = any($1)", [UUID(k) for k in by_id]
    )
    found: dict[str, list[tuple[int, int, int]]] = {chunk_id: [] for chunk_id in by_id}
    for row in rows:
        chunk_id = row["chunk_id"].hex
        vector = by_id[chunk_id].vector
        for index, segment in zip(row["indices"], row["segments"], strict=True):
            if segment in vector.segments_in(index, Stage.OPEN):
                found[chunk_id].append((row["at"], index, segment))
    return found


_INSERT_ANSWERS = """
insert into answer (chunk_id, tenant, enterprise, lane, link, carrier, protocol, batch, at, tariff, indices, segments,
    totals, recipients, senders, carrier_ids, task_ids, refs)
select chunk_id, tenant, enterprise, lane, link, carrier, protocol, batch, at, tariff, indices::smallint[],
    segments::smallint[], totals::smallint[], recipients::bigint[], trim_array(string_to_array(senders, e'\\x1f'), 1),
    trim_array(string_to_array(carrier_ids, e'\\x1f'), 1),
    trim_array(string_to_array(task_ids, e'\\x1f'), 1), trim_array(string_to_array(refs, e'\\x1f'), 1)
from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
    $9::bigint[], $10::int[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[],
    $18::text[])
as n(chunk_id, tenant, enterprise, lane, link, carrier, protocol, batch, at, tariff, indices, segments, totals,
    recipients, senders, carrier_ids, task_ids, refs)
"""

_INSERT_CLOSURES = """
insert into closure (chunk_id, at, indices, segments, stages, codes, done_at, marked, trace)
select chunk_id, at, indices::smallint[], segments::smallint[], stages::smallint[], trim_array(string_to_array(codes, e'\\x1f'), 1),
    done_at::bigint[], marked::boolean[], trace
from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[])
as n(chunk_id, at, indices, segments, stages, codes, done_at, marked, trace)
"""


def _answer_row(answer: Answer) -> tuple[object, ...]:
    return (
        UUID(answer.chunk_id), answer.tenant, answer.enterprise, answer.lane, answer.link, answer.carrier,
        answer.protocol, answer.batch, answer.at, answer.tariff, numbers(answer.indices), numbers(answer.segments),
        numbers(answer.totals), numbers(answer.recipients), texts(_short(answer.senders)), texts(answer.carrier_ids),
        texts(_short(answer.task_ids)), texts(_short(answer.refs)),
    )  # fmt: skip


def _closure_row(closure: Closure) -> tuple[object, ...]:
    return (
        UUID(closure.chunk_id), closure.at, numbers(closure.indices), numbers(closure.segments),
        numbers(closure.stages), texts(closure.codes), numbers(closure.done_at), flags(closure.marked), closure.trace,
    )  # fmt: skip


def _short(values: list[str]) -> list[str]:
    """Return one for all where all are equal."""
    return values[:1] if values and values.count(values[0]) == len(values) else values
