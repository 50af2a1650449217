"""A chunk: up to 500 messages that travel together, with everything a later stage needs to know of them.

A bulk task becomes many chunks of one entry each; single requests of one enterprise are gathered into micro-chunks whose
entries belong to many tasks.  A chunk has one enterprise and one lane.
"""

from __future__ import annotations

from bisect import bisect_right

import msgspec

from contracts.lanes import Lane

MAX_MESSAGES = 500
"""Most messages in one chunk (architecture.md, "Events")."""

MAX_OCTETS = 256 * 1024
"""Most octets of one chunk event on the wire."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run of messages of one task inside a chunk: indices ``first`` .. ``first + count - 1``.

    The text is ``pieces[0] + v[slots[0]] + pieces[1] + v[slots[1]] + ...``, ``v`` being the message's row of ``variables``.
    A plain content has one piece, no slots and no variables.
    """

    task_id: str
    first: int
    count: int
    port: str
    """The number shown as sender: a port with its extension digits."""
    pieces: list[str]
    expires_at: int
    """End of validity, Unix ms: never submitted after it."""
    task_total: int
    """Messages of the whole task, over all its chunks."""
    task_chunks: int = 1
    slots: list[int] = []
    variables: list[list[str]] = []
    not_before: int = 0
    """Earliest submit, Unix ms; 0 is at once."""
    registered: bool = True
    """Whether the port is in the enterprise's register (False for persons' numbers and unregistered ports)."""
    template_id: str = ""
    """An approved template this content was rendered from, if any."""
    ref: str = ""
    """The caller's business key (meter account, waybill), for queries; never interpreted."""
    user: str = ""
    """Who posted it: the API key's name or the console user, so that nobody reviews a task of his own."""


class Chunk(msgspec.Struct, frozen=True, omit_defaults=True):
    """Up to `MAX_MESSAGES` messages of one enterprise and one lane.

    ``recipients`` are E.164 numbers as integers without plus (8613800138000); ``carriers`` has one letter each, see `CARRIERS`.
    """

    chunk_id: str
    tenant: str
    enterprise: str
    lane: Lane
    accepted_at: int
    """Unix ms at which the caller was told `accepted`: the event time of every window."""
    recipients: list[int]
    carriers: str
    entries: list[Entry]

    def entry_of(self, index: int) -> Entry:
        """Return the entry that holds message ``index``."""
        return self.entries[bisect_right(self.entries, index, key=_first) - 1]

    def text_of(self, index: int) -> str:
        """Return the text of message ``index`` as the phone shall show it."""
        entry = self.entry_of(index)
        return render(entry, index - entry.first)


CARRIERS: dict[str, str] = {
    "M": "CMCC",
    "U": "CUCC",
    "T": "CTCC",
    "B": "CBN",
    "V": "virtual",
    "F": "fixed",
    "X": "unknown",
}
"""Letters of `Chunk.carriers`: China Mobile, Unicom, Telecom, Broadnet, virtual operators, fixed lines, not known."""


def render(entry: Entry, row: int) -> str:
    """Return the text of the entry's message ``row`` (0-based within the entry)."""
    pieces = entry.pieces
    if not entry.slots:
        return pieces[0]
    values = entry.variables[row]
    parts = [pieces[0]]
    for slot, piece in zip(entry.slots, pieces[1:], strict=True):
        parts.append(values[slot])
        parts.append(piece)
    return "".join(parts)


def _first(entry: Entry) -> int:
    return entry.first
