"""Links whose sessions stay together: whoever joins, leaves or hesitates, every slot finds an owner and the loads even out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.domain import gathering
from dispatch.domain.leases import SlotRow

REST_ROUNDS = 10


class Table:
    """Slots as the database has them, and workers that act on them one after another, each seeing what the others did."""

    def __init__(self, sizes: dict[str, int], spread: dict[str, int]) -> None:
        self.rows = {
            (link, n): SlotRow(link, n, 0, None, 0) for link, size in sizes.items() for n in range(1, size + 1)
        }
        self.spread = spread
        self.alive: set[str] = set()
        self.handed_on: dict[tuple[str, str], int] = {}
        self.round = 0
        self.moves = 0

    def free(self) -> list[SlotRow]:
        return [row for row in self.rows.values() if row.owner is None]

    def own(self, row: SlotRow, owner: str | None) -> None:
        self.rows[row.key] = replace(row, owner=owner)
        self.moves += 1

    def leave(self, worker: str) -> None:
        self.alive.discard(worker)
        for row in [row for row in self.rows.values() if row.owner == worker]:
            self.own(row, None)

    def decide(self, me: str) -> tuple[list[SlotRow], list[SlotRow]]:
        resting = [
            link for (owner, link), at in self.handed_on.items() if owner == me and self.round - at < REST_ROUNDS
        ]
        taken = gathering.to_acquire(self.rows.values(), self.free(), me, self.alive, self.spread, resting)
        if taken or self.free():
            return taken, []
        return [], gathering.to_release(self.rows.values(), me, self.alive, self.spread)

    def act(self, me: str, taken: list[SlotRow], given_back: list[SlotRow]) -> None:
        for row in taken:
            if self.rows[row.key] == row:  # somebody may have been faster
                self.own(row, me)
        assert len({row.link for row in given_back}) <= 1
        for row in given_back:
            self.own(row, None)
            self.handed_on[me, row.link] = self.round

    def settle(self, random: Random, *, at_once: bool = False, rounds: int = 400) -> None:
        """Let the workers act in changing order, or all on the same look at the table, until nothing moves for as long as links rest."""
        quiet = 0
        for _ in range(rounds):
            self.round += 1
            before = self.moves
            order = sorted(sorted(self.alive), key=lambda _: random.random())
            decided = {worker: self.decide(worker) for worker in order} if at_once else {}
            for worker in order:
                self.act(worker, *(decided.get(worker) or self.decide(worker)))
            quiet = quiet + 1 if self.moves == before else 0
            if quiet > REST_ROUNDS:
                return
        raise AssertionError(f"still moving after {rounds} rounds: {self.loads()}")

    def loads(self) -> Counter[str]:
        return Counter(dict.fromkeys(self.alive, 0) | Counter(row.owner for row in self.rows.values()))

    def owners(self, link: str) -> set[str | None]:
        return {row.owner for row in self.rows.values() if row.link == link}

    def check(self) -> None:
        assert not self.free()
        for link, most in self.spread.items():
            assert len(self.owners(link)) <= most, link


@settings(deadline=None, max_examples=150)
@given(
    links=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 3)), min_size=1, max_size=12),
    changes=st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=8),
    seed=st.integers(0, 1000),
    at_once=st.booleans(),
)
def test_every_slot_finds_an_owner_and_no_link_too_many(links, changes, seed, at_once):
    table = Table(
        {f"l{n}": size for n, (size, _) in enumerate(links)}, {f"l{n}": most for n, (_, most) in enumerate(links)}
    )
    random = Random(seed)
    table.alive.add("w0")
    for joins, number in changes:
        if joins:
            table.alive.add(f"w{number}")
        elif table.alive != {f"w{number}"}:
            table.leave(f"w{number}")
        table.settle(random, at_once=at_once)
        table.check()


@pytest.mark.parametrize("workers", [2, 3, 4, 8])
def test_loads_even_out_to_within_a_link(workers):
    table = Table({f"l{n:02}": 5 for n in range(24)}, {f"l{n:02}": 1 for n in range(24)})
    for number in range(workers):
        table.alive.add(f"w{number}")
        table.settle(Random(number))
    table.check()
    loads = table.loads()
    assert max(loads.values()) - min(loads.values()) <= 5, loads


def test_who_leaves_is_replaced_at_once():
    table = Table({"a": 4, "b": 4}, {"a": 1, "b": 1})
    table.alive |= {"w0", "w1"}
    table.settle(Random(1))
    assert {len(table.owners("a")), len(table.owners("b"))} == {1}
    assert table.owners("a") != table.owners("b")
    table.leave("w0")
    table.act("w1", *table.decide("w1"))
    assert table.loads() == {"w1": 8}


def test_of_two_that_took_slots_of_one_link_the_one_with_fewer_gives_way():
    rows = [SlotRow("a", n, 1, owner, 0) for n, owner in ((1, "w0"), (2, "w0"), (3, "w1"))]
    assert gathering.to_release(rows, "w0", {"w0", "w1"}, {"a": 1}) == []
    assert gathering.to_release(rows, "w1", {"w0", "w1"}, {"a": 1}) == rows[2:]


def test_half_of_a_link_for_two_is_handed_to_the_second_worker():
    rows = [SlotRow("a", n, 1, "w0", 0) for n in range(1, 9)]
    assert gathering.to_release(rows, "w0", {"w0", "w1"}, {"a": 2}) == rows[4:]
    assert gathering.to_release(rows, "w0", {"w0"}, {"a": 2}) == []


def test_a_third_worker_takes_nothing_of_a_link_for_two():
    rows = [SlotRow("a", n, 1, owner, 0) for n, owner in ((1, "w0"), (2, "w1"), (3, None))]
    everybody = {"w0", "w1", "w2"}
    assert gathering.to_acquire(rows, rows[2:], "w2", everybody, {"a": 2}) == []
    assert gathering.to_acquire(rows, rows[2:], "w1", everybody, {"a": 2}) == rows[2:]


def test_a_link_just_handed_on_is_left_to_others():
    rows = [SlotRow("a", n, 2, None, 0) for n in (1, 2)]
    assert gathering.to_acquire(rows, rows, "w0", {"w0", "w1"}, {"a": 1}, resting=["a"]) == []
    assert gathering.to_acquire(rows, rows, "w0", {"w0", "w1"}, {"a": 1}) == rows
