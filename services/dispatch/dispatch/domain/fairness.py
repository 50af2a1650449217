"""Which message goes next: strictly by class, and inside a class fair between enterprises by deficit round robin.

The unit of the deficit is the segment, because a segment is what costs window, rate and money.  Pure.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, Protocol, TypeVar

QUANTUM = 32
"""Segments an enterprise may send in its turn: small beside a window, large beside the cost of changing turns."""


class Source(Protocol):
    """Something with messages left: an item of the queue in memory."""

    @property
    def ekey(self) -> str:
        """Whose it is."""
        ...

    def empty(self) -> bool:
        """Whether nothing is left to send."""
        ...


S = TypeVar("S", bound=Source)


class _Turn(Generic[S]):
    __slots__ = ("deficit", "queue")

    def __init__(self) -> None:
        self.queue: deque[S] = deque()
        self.deficit = 0


class RoundRobin(Generic[S]):
    """The sources of one class on one link."""

    def __init__(self, quantum: int = QUANTUM) -> None:
        """``quantum`` is in segments."""
        self._quantum = quantum
        self._turns: dict[str, _Turn[S]] = {}
        self._order: deque[str] = deque()

    def __len__(self) -> int:
        return sum(len(turn.queue) for turn in self._turns.values())

    def add(self, source: S) -> None:
        """Queue a source behind the same enterprise's others."""
        turn = self._turns.get(source.ekey)
        if turn is None:
            turn = self._turns[source.ekey] = _Turn()
            self._order.append(source.ekey)
        turn.queue.append(source)

    def enterprises(self) -> set[str]:
        """Return who has something queued."""
        return set(self._turns)

    def sources(self) -> list[S]:
        """Return all sources, in no promised order."""
        return [source for turn in self._turns.values() for source in turn.queue]

    def current(self) -> tuple[S, int] | None:
        """Return the source whose turn it is and how many segments it may send (at least 1), or None when all is empty.

        After taking from it, call `charge`.
        """
        while self._order:
            ekey = self._order[0]
            turn = self._turns[ekey]
            while turn.queue and turn.queue[0].empty():
                turn.queue.popleft()
            if not turn.queue:
                self._order.popleft()
                del self._turns[ekey]
                continue
            if turn.deficit <= 0:
                turn.deficit += self._quantum
            return turn.queue[0], max(1, turn.deficit)
        return None

    def charge(self, ekey: str, segments: int) -> None:
        """Take ``segments`` off the enterprise's deficit; when it is used up the next one's turn comes.

        A long message may overdraw: the debt is paid in the next rounds.
        """
        turn = self._turns.get(ekey)
        if turn is None:
            return
        turn.deficit -= segments
        if turn.deficit <= 0 and self._order and self._order[0] == ekey:
            self._order.rotate(-1)

    def skip(self) -> None:
        """Pass the turn without sending."""
        self._order.rotate(-1)

    def remove(self, source: S) -> None:
        """Drop a source, wherever it stands."""
        turn = self._turns.get(source.ekey)
        if turn is not None and source in turn.queue:
            turn.queue.remove(source)


def bulk_share(window: int) -> int:
    """Return how much of a session's window bulk classes may use: W - max(1, W / 8) (architecture.md, "Priority")."""
    return max(1, window - max(1, window // 8)) if window > 1 else 1
