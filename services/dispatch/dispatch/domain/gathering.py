"""Links whose sessions stay together: which of their slots to take and which to give back.

A link may say on how many workers its sessions are spread at most (`workers`).  Receipts then come to the worker that had their answers,
and a chunk is not cut between workers; what is balanced is whole links.  Every worker decides for itself from the table of slots:

* a slot of a link nobody has is taken by a worker that holds less than its part of all such slots;
* who has sessions of a link takes the others of its share, however many those are;
* who could hand its share of a link to a worker that then still holds less than itself does, a link at a time;
* of two that took slots of one link at once the one with fewer gives them back.

While a slot is free some worker takes it: when all workers that a link may have have some of it, one of them has less than its share;
otherwise some worker holds less than its part of all slots, and either has the link already or may come to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from dispatch.domain.leases import SlotRow, target


class _View:
    """Who holds how many sessions, of each link and together."""

    def __init__(self, rows: Iterable[SlotRow], free: Collection[SlotRow], alive: Collection[str]) -> None:
        self.sizes: dict[str, int] = {}
        self.held: dict[str, dict[str, list[SlotRow]]] = {}
        self.load: dict[str, int] = dict.fromkeys(alive, 0)
        loose = {row.key for row in free}
        for row in rows:
            self.sizes[row.link] = self.sizes.get(row.link, 0) + 1
            owners = self.held.setdefault(row.link, {})
            if row.owner is not None and row.key not in loose:
                owners.setdefault(row.owner, []).append(row)
                self.load[row.owner] = self.load.get(row.owner, 0) + 1

    def part(self) -> int:
        """Return how many slots each worker would hold if links could be cut."""
        return target(sum(self.sizes.values()), len(self.load))

    def share(self, link: str, most: int) -> int:
        """Return how many slots of ``link`` each of its workers holds at most, when there are enough of them."""
        return target(self.sizes[link], min(most, len(self.load)))


def to_acquire(
    rows: Iterable[SlotRow],
    free: Iterable[SlotRow],
    me: str,
    alive: Collection[str],
    spread: Mapping[str, int],
    resting: Collection[str] = (),
) -> list[SlotRow]:
    """Return the slots to take now of ``free``; ``spread`` is how many workers each link may have, ``resting`` links just handed on."""
    wanted = list(free)
    view = _View(rows, wanted, alive)
    room = view.part() - view.load[me]
    chosen: list[SlotRow] = []
    by_link: dict[str, list[SlotRow]] = {}
    for row in wanted:
        by_link.setdefault(row.link, []).append(row)
    # What is half mine first, then the largest: small ones fill what is left.
    for link in sorted(by_link, key=lambda name: (me not in view.held[name], -view.sizes[name], name)):
        owners = view.held[link]
        mine = len(owners.get(me, ()))
        if not mine and (len(owners) >= spread[link] or link in resting):
            continue
        share = view.share(link, spread[link]) - mine
        # A link is taken up to its share if there is any room at all: cut, it would be nobody's gain.
        more = room if len(owners) < spread[link] and link not in resting else 0
        count = max(share if mine or room > 0 else 0, more)
        taken = by_link[link][: max(0, count)]
        chosen += taken
        room -= len(taken)
    return chosen


def to_release(rows: Iterable[SlotRow], me: str, alive: Collection[str], spread: Mapping[str, int]) -> list[SlotRow]:
    """Return the slots to give back now, all of one link; none when everything is where it should be."""
    view = _View(rows, (), alive)
    for link in sorted(view.held):
        owners = view.held[link]
        if me in owners and len(owners) > spread[link]:
            order = sorted(owners, key=lambda owner: (-len(owners[owner]), owner))
            if me in order[spread[link] :]:
                return owners[me]
        if me in owners and len(owners) < spread[link] and len(view.load) > len(owners):
            spare = len(owners[me]) - view.share(link, spread[link])
            if spare > 0 and any(other not in owners and view.load[other] < view.part() for other in view.load):
                return owners[me][-spare:]
    movable = sorted((len(owners[me]), link) for link, owners in view.held.items() if me in owners)
    for count, link in reversed(movable):
        least = min((load for other, load in view.load.items() if other not in view.held[link]), default=view.load[me])
        if least + count < view.load[me] and least < view.part():
            return view.held[link][me]
    return []
