"""Segments that never got a receipt are closed as unknown when their term is over, counted from the carrier's
answer.
"""

from __future__ import annotations

import structlog

from billing_sync.handlers.charge import observe
from billing_sync.store import ledger
from servicekit.database import Connection, Database

CHUNKS = 200
"""Chunks of one transaction."""

CODE = "NO_RECEIPT"
"""What stands in the record where the carrier's word would."""

log = structlog.get_logger()


async def close_overdue(database: Database, now_ms: int, term_ms: int) -> int:
    """Close what was answered at or before ``now_ms - term_ms``; return the number of records."""
    total = 0
    while True:
        closed, chunks = await database.run(lambda tx: _round(tx, now_ms, term_ms))
        total += closed
        if chunks < CHUNKS:
            break
    if total:
        log.info("closed_as_unknown", records=total)
    return total


async def _round(tx: Connection, now_ms: int, term_ms: int) -> tuple[int, int]:
    books = await ledger.overdue(tx, now_ms - term_ms, CHUNKS)
    if not books:
        return 0, 0
    early = {book.chunk_id: set(book.early) for book in books}
    segments = await ledger.open_segments(tx, books)
    for book in books:
        waiting = segments[book.chunk_id]
        due = [(index, segment) for at, index, segment in waiting if at <= now_ms - term_ms]
        book.give_up(due, CODE, now=now_ms)
        # The term of the rest runs from the oldest of them.
        book.first_open_at = min((at for at, _, _ in waiting if at > now_ms - term_ms), default=0)
    await ledger.save(tx, books, early)
    for book in books:
        observe(book, "")
    return sum(len(closure.indices) for book in books for closure in book.closures), len(books)
