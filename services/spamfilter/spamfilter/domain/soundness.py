"""Whether a decoded chunk is consistent in itself; what is not goes to the dead letters, with a reason free of
contents.
"""

from __future__ import annotations

from contracts.chunk import MAX_MESSAGES, Chunk, Entry

MAX_TEXT = 10_000
"""Characters of one rendered message; ingest accepts far less.  Bounds the work one message can cause."""


def fault_of(chunk: Chunk) -> tuple[str, str] | None:
    """Return (stable code, reason) of what is wrong, or None."""
    size = len(chunk.recipients)
    if not 0 < size <= MAX_MESSAGES:
        return "chunk_size", f"{size} messages, 1 to {MAX_MESSAGES} expected"
    if len(chunk.carriers) != size:
        return "chunk_carriers", f"{len(chunk.carriers)} carriers for {size} messages"
    following = 0
    for position, entry in enumerate(chunk.entries):
        if entry.first != following or entry.count < 1:
            return "chunk_entries", f"entry {position} does not follow on the one before it"
        following += entry.count
        fault = _entry_fault(entry)
        if fault:
            return "chunk_entry", f"entry {position}: {fault}"
    if following != size:
        return "chunk_entries", f"entries cover {following} of {size} messages"
    return None


def _entry_fault(entry: Entry) -> str:
    if len(entry.pieces) != len(entry.slots) + 1:
        return f"{len(entry.pieces)} pieces for {len(entry.slots)} slots"
    fixed = sum(map(len, entry.pieces))
    if fixed > MAX_TEXT:
        return f"{fixed} characters, at most {MAX_TEXT}"
    if not entry.slots:
        return ""
    if len(entry.variables) != entry.count:
        return f"{len(entry.variables)} rows of variables for {entry.count} messages"
    if min(entry.slots) < 0:
        return "a slot is negative"
    highest = max(entry.slots)
    for values in entry.variables:
        if len(values) <= highest:
            return "a row has too few variables"
        if fixed + sum(len(values[slot]) for slot in entry.slots) > MAX_TEXT:
            return f"a message has more than {MAX_TEXT} characters"
    return ""
