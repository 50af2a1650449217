"""Sender windows: how many messages one sender had accepted within the window before this run, by event time and in
log order.

Time is the chunk's `accepted_at`, never a clock, and order is the order of the `spamfilter.counted` log of the
partition, so a replay gives the answer the first run gave.  A record counts for every other less than a window away,
earlier or later: lanes of one enterprise are read side by side and may be minutes apart.  All messages count, also
those that were blocked: who keeps sending stays blocked.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

MAX_RECORDS = 8192
"""Records kept of one sender.  With so many inside one window any threshold (20..50) is passed whichever are
forgotten.
"""

MAX_SENDERS = 200_000
"""Senders kept of one partition; the one silent longest is forgotten first."""


@dataclass(frozen=True, slots=True)
class _Record:
    chunk_id: str
    first: int
    at: int
    count: int


@dataclass(slots=True)
class _Sender:
    records: deque[_Record] = field(default_factory=lambda: deque(maxlen=MAX_RECORDS))
    known: set[tuple[str, int]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Admitted:
    """``prior`` messages came before the run, counted no further than ``enough``; ``new`` when the run was not counted
    before.
    """

    prior: int
    new: bool


class SenderWindows:
    """The windows of one partition; the key is (`<tenant>:<enterprise>`, sender)."""

    def __init__(self, window_ms: int) -> None:
        """``window_ms`` is the window's length in milliseconds."""
        self._window_ms = window_ms
        self._senders: OrderedDict[tuple[str, str], _Sender] = OrderedDict()

    def __len__(self) -> int:
        return len(self._senders)

    def recall(self, enterprise: str, sender: str, chunk_id: str, first: int, count: int, at: int) -> None:
        """Take a record of the log, in the log's order; a repeated one changes nothing."""
        self._append(self._sender(enterprise, sender), _Record(chunk_id, first, at, count))

    def admit(
        self, enterprise: str, sender: str, chunk_id: str, first: int, count: int, at: int, enough: int
    ) -> Admitted:
        """Count messages ``first`` .. ``first + count - 1`` of a chunk and return how many came before them."""
        state = self._sender(enterprise, sender)
        if (chunk_id, first) not in state.known:
            prior = self._sum(state.records, at, enough)
            self._append(state, _Record(chunk_id, first, at, count))
            return Admitted(prior, new=True)
        before: list[_Record] = []
        for record in state.records:
            if record.chunk_id == chunk_id and record.first == first:
                break
            before.append(record)
        return Admitted(self._sum(before, at, enough), new=False)

    def _sum(self, records: deque[_Record] | list[_Record], at: int, enough: int) -> int:
        # From the newest backwards: it ends after at most `enough` records inside the window, however busy the sender
        # is.
        total = 0
        for record in reversed(records):
            if abs(at - record.at) < self._window_ms:
                total += record.count
                if total >= enough:
                    break
        return total

    def _append(self, state: _Sender, record: _Record) -> None:
        key = (record.chunk_id, record.first)
        if key in state.known:
            return
        records = state.records
        # Twice the window: another lane's run may be that much older and still share a window with what is here.
        while records and (len(records) == MAX_RECORDS or records[0].at < record.at - 2 * self._window_ms):
            gone = records.popleft()
            state.known.discard((gone.chunk_id, gone.first))
        records.append(record)
        state.known.add(key)

    def _sender(self, enterprise: str, sender: str) -> _Sender:
        key = (enterprise, sender)
        state = self._senders.get(key)
        if state is None:
            state = self._senders[key] = _Sender()
            if len(self._senders) > MAX_SENDERS:
                self._senders.popitem(last=False)
        else:
            self._senders.move_to_end(key)
        return state
