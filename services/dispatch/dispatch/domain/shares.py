"""How an agreed rate is divided over the sessions of a link: in whole tokens, and never counted twice while a share moves.

The sum of all slots' tokens never exceeds the rate.  A share moves in three steps, each by whoever may take it: the owner lowers his
limiter and, once its live messages fit, commits the lower tokens; every change raises the link's share version; when the version
has stood still for a second, anybody raises what is short.  Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

STILL_S = 1.0
"""How long the version must stand still before freed tokens are used again."""


@dataclass(frozen=True, slots=True)
class SlotShare:
    """One slot as the table shows it."""

    slot: int
    held: bool
    bound: bool
    tokens: int


def targets(rate: int, slots: Sequence[SlotShare]) -> dict[int, int]:
    """Return the tokens each slot should have: ``rate`` in whole tokens over the held and bound slots, 34 + 33 + 33 for 100.

    While none is bound the held ones share, so that the first bind can send at once.
    """
    chosen = sorted(s.slot for s in slots if s.held and s.bound) or sorted(s.slot for s in slots if s.held)
    result = {s.slot: 0 for s in slots}
    if chosen:
        base, rest = divmod(rate, len(chosen))
        for place, slot in enumerate(chosen):
            result[slot] = base + (1 if place < rest else 0)
    return result


def first_owners(slots: Iterable[tuple[int, str | None]]) -> bool:
    """Return whether nobody before the present owners can have sent anything; ``slots`` are (epoch, owner).

    Then freed tokens need not rest.  A slot given back keeps its epoch: it has no owner, and had one.
    """
    return all(epoch == 0 or (epoch == 1 and owner is not None) for epoch, owner in slots)


def lowered(target: Mapping[int, int], slots: Sequence[SlotShare]) -> dict[int, int]:
    """Return the slots that have more than their target, with the target."""
    return {s.slot: target[s.slot] for s in slots if s.tokens > target[s.slot]}


def raised(rate: int, target: Mapping[int, int], slots: Sequence[SlotShare]) -> dict[int, int]:
    """Return the slots to raise and their new tokens, as far as what is free allows; lowest slots first."""
    free = rate - sum(s.tokens for s in slots)
    result: dict[int, int] = {}
    for s in sorted(slots, key=lambda share: share.slot):
        gain = min(target[s.slot] - s.tokens, free)
        if gain > 0:
            result[s.slot] = s.tokens + gain
            free -= gain
    return result
