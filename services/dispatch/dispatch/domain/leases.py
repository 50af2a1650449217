"""Who owns which session: the slot protocol as a pure state machine over what the table shows and when.

A slot is free when nobody owns it; it is abandoned when its (epoch, beat) stood still for `FROZEN_S` on the observer's own monotonic
clock.  A holder's deadline is the moment it *sent* its last successful renewal plus `HOLD_S`: before every write to a carrier it
checks that deadline.  So between a holder's last possible submit and a successor's first there are more than two seconds whatever
the clocks say, because nothing but intervals of one's own clock is ever compared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

RENEW_S = 1.0
HOLD_S = 6.0
FROZEN_S = 10.0
KILL_AFTER_S = 1.0
"""The watchdog kills a worker this long after its deadline."""
SETTLE_S = 1.0
"""A new owner submits no earlier than this after it acquired: the old one's last submit is then at least a second old."""
MOVE_S = 2.0
"""At most one slot, or one link's where they stay together, is given back for balance in this time."""

Key = tuple[str, int]
"""A slot: link name and number."""


@dataclass(frozen=True, slots=True)
class SlotRow:
    """One row of the table as read."""

    link: str
    slot: int
    epoch: int
    owner: str | None
    beat: int

    @property
    def key(self) -> Key:
        """(link, slot)."""
        return (self.link, self.slot)


@dataclass(slots=True)
class _Seen:
    mark: tuple[object, ...]
    since: float


@dataclass(slots=True)
class Observer:
    """Remembers since when things stood still; ``known_dead`` are owners whose process is proved to be gone."""

    known_dead: Collection[str] = ()
    _seen: dict[object, _Seen] = field(default_factory=dict)

    def still_for(self, thing: object, mark: tuple[object, ...], now: float) -> float:
        """Record ``mark`` of ``thing`` and return for how many seconds it has not changed."""
        seen = self._seen.get(thing)
        if seen is None or seen.mark != mark:
            self._seen[thing] = _Seen(mark, now)
            return 0.0
        return now - seen.since

    def forget(self, thing: object) -> None:
        """Forget what was seen of ``thing``."""
        self._seen.pop(thing, None)

    def takeable(self, rows: Iterable[SlotRow], me: str, now: float) -> list[SlotRow]:
        """Return the rows nobody holds, or whose holder is gone, in the table's order."""
        result = []
        for row in rows:
            still = self.still_for(row.key, (row.epoch, row.beat, row.owner), now)
            if row.owner == me:
                continue
            if row.owner is None or row.owner in self.known_dead or still >= FROZEN_S:
                result.append(row)
        return result

    def alive(self, workers: Iterable[tuple[str, int]], me: str, now: float) -> set[str]:
        """Return the workers whose beat moves, me included; one seen for the first time counts as alive."""
        result = {me}
        for owner, beat in workers:
            still = self.still_for(("worker", owner), (beat,), now)
            if owner not in self.known_dead and still < FROZEN_S:
                result.add(owner)
        return result


def deadline(renewal_sent_at: float) -> float:
    """Return until when a holder may write, given when its last successful renewal was sent (monotonic seconds)."""
    return renewal_sent_at + HOLD_S


def target(slots: int, workers: int) -> int:
    """Return how many slots a worker should hold: the ceiling of slots over workers."""
    return -(-slots // max(1, workers))


def to_acquire(rows: Iterable[SlotRow], takeable: list[SlotRow], me: str, workers: int) -> list[SlotRow]:
    """Return the slots to take now, up to the target, spread over links (the link of which I hold fewest first)."""
    rows = list(rows)
    mine: dict[str, int] = {}
    for row in rows:
        mine[row.link] = mine.get(row.link, 0) + (1 if row.owner == me else 0)
    room = target(len(rows), workers) - sum(mine.values())
    chosen: list[SlotRow] = []
    left = list(takeable)
    while room > 0 and left:
        best = min(left, key=lambda row: (mine[row.link], row.link, row.slot))
        left.remove(best)
        chosen.append(best)
        mine[best.link] += 1
        room -= 1
    return chosen


def to_release(rows: Iterable[SlotRow], me: str, workers: int) -> SlotRow | None:
    """Return one slot to give back when I hold more than the target, of the link of which I hold most; else None."""
    rows = list(rows)
    mine = [row for row in rows if row.owner == me]
    if len(mine) <= target(len(rows), workers):
        return None
    counts: dict[str, int] = {}
    for row in mine:
        counts[row.link] = counts.get(row.link, 0) + 1
    return max(mine, key=lambda row: (counts[row.link], row.link, row.slot))
