"""Parts of long messages put together again: out of order, repeated, missing; time is an argument, memory is bounded.

Parts are keyed as TS 23.040 clause 9.2.3.24.1 and practice ask: link, source, destination, reference, width, total. The
caller stores every part durably before it is given here: after a crash the open parts are simply added again.
"""

from collections import OrderedDict
from typing import Final, Literal

import msgspec

from smstext.alphabet import Coding, decode
from smstext.udh import Concat

MAX_OPEN: Final = 10_000  # long messages begun and not finished: 10,000 of 10 parts are under 20 MB
MAX_RECENT: Final = 10_000  # finished messages remembered, so that a part repeated late does not open a ghost


class Part(msgspec.Struct, frozen=True, gc=False):
    """One part's content without its header, GSM text unpacked. Parts of one message may differ in coding."""

    coding: Coding
    content: bytes
    tag: str = ""
    """The caller's own name for the part (the id of its stored row, say); not looked at."""


class Key(msgspec.Struct, frozen=True, gc=False):
    """What the parts of one message have in common."""

    link: str
    source: str
    destination: str
    reference: int
    width: int
    total: int


class Joined(msgspec.Struct, frozen=True):
    """A whole message, its parts in order."""

    key: Key
    parts: tuple[Part, ...]
    begun_at: float

    @property
    def text(self) -> str:
        """The message's text; what cannot be decoded shows as U+FFFD."""
        return text_of(self.parts)


class Incomplete(msgspec.Struct, frozen=True):
    """A message given up: `expired` (deadline passed), `evicted` (too many open), `superseded` (its reference reused).

    `parts` maps the index, counted from 1, to what had arrived.
    """

    key: Key
    parts: dict[int, Part]
    begun_at: float
    reason: Literal["expired", "evicted", "superseded"]

    @property
    def text(self) -> str:
        """What arrived, with […] for each run of missing parts."""
        pieces: list[str] = []
        run: list[Part] = []
        for index in range(1, self.key.total + 1):
            part = self.parts.get(index)
            if part is not None:
                run.append(part)
                continue
            if run:
                pieces.append(text_of(tuple(run)))
                run = []
            if not pieces or pieces[-1] != "[…]":
                pieces.append("[…]")
        if run:
            pieces.append(text_of(tuple(run)))
        return "".join(pieces)


class _Open(msgspec.Struct):
    parts: dict[int, Part]
    begun_at: float
    deadline: float


def text_of(parts: tuple[Part, ...]) -> str:
    """Text of parts in order. Neighbours of one coding are decoded together: foreign senders cut surrogate pairs."""
    pieces: list[str] = []
    at = 0
    while at < len(parts):
        end = at + 1
        while end < len(parts) and parts[end].coding is parts[at].coding:
            end += 1
        pieces.append(decode(b"".join(part.content for part in parts[at:end]), parts[at].coding, lenient=True))
        at = end
    return "".join(pieces)


class Joiner:
    """Open long messages of any number of links. `wait`: seconds from the first part to giving up."""

    def __init__(self, *, wait: float, max_open: int = MAX_OPEN, max_recent: int = MAX_RECENT) -> None:
        self._wait = wait
        self._max_open = max_open
        self._max_recent = max_recent
        self._open: OrderedDict[Key, _Open] = OrderedDict()  # by deadline, since the wait is the same for all
        self._recent: OrderedDict[Key, tuple[Part, ...]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def add(
        self, link: str, source: str, destination: str, concat: Concat, part: Part, now: float
    ) -> list[Joined | Incomplete]:
        """Take one part; returns the message it completes and those given up for it; nothing for a repetition."""
        key = Key(link, source, destination, concat.reference, concat.width, concat.total)
        if self._repeats_recent(key, concat.index, part):
            return []
        out: list[Joined | Incomplete] = []
        entry = self._open.get(key)
        if entry is not None:
            earlier = entry.parts.get(concat.index)
            if earlier is not None:
                if _same(earlier, part):
                    return []
                # Another content under the same index: the sender's 8-bit reference came round again.
                out.append(self._give_up(key, "superseded"))
                entry = None
        if entry is None:
            if len(self._open) >= self._max_open:
                out.append(self._give_up(next(iter(self._open)), "evicted"))
            entry = self._open[key] = _Open({}, now, now + self._wait)
        entry.parts[concat.index] = part
        if len(entry.parts) == key.total:
            out.append(self._complete(key))
        return out

    def next_deadline(self) -> float | None:
        """When `expire` has something to do next; None when nothing is open."""
        return next(iter(self._open.values())).deadline if self._open else None

    def expire(self, now: float) -> list[Incomplete]:
        """Give up what has waited long enough, oldest first."""
        out: list[Incomplete] = []
        while self._open:
            key, entry = next(iter(self._open.items()))
            if entry.deadline > now:
                break
            out.append(self._give_up(key, "expired"))
        return out

    def _repeats_recent(self, key: Key, index: int, part: Part) -> bool:
        whole = self._recent.get(key)
        if whole is None:
            return False
        if _same(whole[index - 1], part):
            return True
        del self._recent[key]  # the reference is in use for a new message
        return False

    def _complete(self, key: Key) -> Joined:
        entry = self._open.pop(key)
        parts = tuple(entry.parts[index] for index in range(1, key.total + 1))
        self._recent[key] = parts
        if len(self._recent) > self._max_recent:
            self._recent.popitem(last=False)
        return Joined(key, parts, entry.begun_at)

    def _give_up(self, key: Key, reason: Literal["expired", "evicted", "superseded"]) -> Incomplete:
        entry = self._open.pop(key)
        return Incomplete(key, entry.parts, entry.begun_at, reason)


def _same(one: Part, other: Part) -> bool:
    return one.content == other.content and one.coding is other.coding
