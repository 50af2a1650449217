"""Whole-token shares, slot protocol, fairness: pure decisions."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from dispatch.domain import leases
from dispatch.domain.fairness import RoundRobin, bulk_share
from dispatch.domain.leases import Observer, SlotRow
from dispatch.domain.shares import SlotShare, first_owners, lowered, raised, targets


def test_a_rate_is_divided_in_whole_tokens():
    slots = [SlotShare(n, held=True, bound=True, tokens=0) for n in (1, 2, 3)]
    assert targets(100, slots) == {1: 34, 2: 33, 3: 33}


def test_only_bound_sessions_share_while_any_is_bound():
    slots = [SlotShare(1, True, True, 0), SlotShare(2, True, False, 0), SlotShare(3, False, False, 0)]
    assert targets(100, slots) == {1: 100, 2: 0, 3: 0}


def test_tokens_rest_as_soon_as_a_slot_had_an_owner_before():
    assert first_owners([(0, None), (1, "a"), (1, "b")])
    # Given back in its first epoch: what its owner sent may be less than a second old.
    assert not first_owners([(1, None), (1, "b")])
    assert not first_owners([(2, "a"), (1, "b")])


@given(
    rate=st.integers(1, 1000),
    slots=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=8),
    rounds=st.lists(st.integers(0, 7), max_size=30),
)
def test_the_sum_never_exceeds_the_rate_while_shares_move(rate, slots, rounds):
    tokens = [0] * len(slots)
    state = [[held, held and bound] for held, bound in slots]
    for flip in [*rounds, 0, 0]:
        place = flip % len(slots)
        state[place][1] = state[place][0] and not state[place][1]
        view = [SlotShare(n, h, b, tokens[n]) for n, (h, b) in enumerate(state)]
        target = targets(rate, view)
        assert sum(target.values()) <= rate
        for n, t in lowered(target, view).items():
            tokens[n] = t
        view = [SlotShare(n, h, b, tokens[n]) for n, (h, b) in enumerate(state)]
        for n, t in raised(rate, target, view).items():
            tokens[n] = t
        assert sum(tokens) <= rate
        assert tokens == [target[n] for n in range(len(slots))]


def row(slot: int, owner: str | None, epoch: int = 1, beat: int = 1, link: str = "a") -> SlotRow:
    return SlotRow(link, slot, epoch, owner, beat)


def test_a_slot_is_taken_only_when_it_stood_still_on_our_own_clock():
    observer = Observer()
    assert observer.takeable([row(1, "other", beat=5)], "me", 100.0) == []
    assert observer.takeable([row(1, "other", beat=6)], "me", 109.0) == []
    assert observer.takeable([row(1, "other", beat=6)], "me", 118.9) == []
    assert observer.takeable([row(1, "other", beat=6)], "me", 119.0) == [row(1, "other", beat=6)]


def test_a_holders_last_write_is_long_past_when_its_slot_is_taken():
    # The beat was committed after it was sent, and seen after it was committed.
    sent = 50.0
    seen_first = sent
    assert leases.deadline(sent) + leases.KILL_AFTER_S + leases.SETTLE_S < seen_first + leases.FROZEN_S


def test_a_dead_owner_needs_no_waiting():
    assert Observer({"other:1"}).takeable([row(1, "other:1")], "me", 0.0)


def test_free_slots_are_taken_up_to_the_target_and_over_all_links():
    rows = [row(n, None, link=link) for link in ("a", "b") for n in (1, 2, 3)]
    chosen = leases.to_acquire(rows, rows, "me", workers=2)
    assert Counter(r.link for r in chosen) in (Counter(a=2, b=1), Counter(a=1, b=2))


def test_one_slot_is_moved_at_a_time():
    rows = [row(n, "me") for n in (1, 2, 3)]
    assert leases.to_release(rows, "me", 2) == rows[2]
    assert leases.to_release(rows[:2], "me", 1) is None


@given(slots=st.integers(0, 200), workers=st.integers(1, 30))
def test_the_targets_cover_all_slots(slots, workers):
    assert leases.target(slots, workers) * workers >= slots


class Item:
    def __init__(self, ekey: str, n: int) -> None:
        self.ekey, self.left = ekey, n

    def empty(self) -> bool:
        return self.left == 0


def drain(queue: RoundRobin[Item], room: int) -> list[str]:
    """Send everything in rooms of ``room`` segments; return whose each segment was."""
    order: list[str] = []
    while (current := queue.current()) is not None:
        item, allowance = current
        n = min(allowance, item.left, room)
        item.left -= n
        queue.charge(item.ekey, n)
        order += [item.ekey] * n
    return order


@given(st.dictionaries(st.sampled_from("abcde"), st.integers(1, 300), min_size=2), st.integers(1, 60))
def test_nobody_waits_for_more_than_a_turn_of_each_other(sizes, room):
    queue: RoundRobin[Item] = RoundRobin(quantum=32)
    for name, n in sizes.items():
        queue.add(Item(name, n))
    order = drain(queue, room)
    assert Counter(order) == sizes
    smallest = min(sizes.values())
    share = Counter(order[: smallest * len(sizes)])
    for name in sizes:
        assert share[name] >= smallest - 32 * len(sizes)


def test_a_bulk_class_leaves_room_for_codes():
    assert [bulk_share(w) for w in (1, 2, 10, 16, 50, 100)] == [1, 1, 9, 14, 44, 88]
