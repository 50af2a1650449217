"""The pure parts of the carrier simulator: faults, counting, scheduling, deciding, scripting."""

from __future__ import annotations

import bisect

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.carrier.behaviour import Behaviour, Fate
from sim.carrier.faults import Faults, FaultsError, changed
from sim.carrier.schedule import Schedule
from sim.carrier.script import parse_script
from sim.carrier.stats import RateGauge, Stats


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"throttle": 1.5}, "throttle"),
        ({"latency_ms": -1}, "latency_ms"),
        ({"no_such": 1}, "no_such"),
        ({"receipt_id": "roman"}, "receipt_id"),
        ({"silence": "yes"}, "silence"),
        ({"undelivered_suffix": "x"}, "undelivered_suffix"),
    ],
)
def test_impossible_faults_are_refused_by_name(change: dict[str, object], named: str) -> None:
    with pytest.raises(FaultsError, match=named):
        changed(Faults(), change)


def test_faults_change_in_part() -> None:
    first = changed(Faults(), {"latency_ms": 20})
    assert changed(first, {"silence": True}) == Faults(latency_ms=20, silence=True)


@given(st.lists(st.floats(0, 50), min_size=1, max_size=200))
def test_rate_gauge_finds_the_fullest_second(times: list[float]) -> None:
    times = sorted(times)
    gauge = RateGauge()
    for moment in times:
        gauge.add(moment)
    expected = max(position + 1 - bisect.bisect_right(times, moment - 1.0) for position, moment in enumerate(times))
    assert gauge.greatest == expected


def test_messages_are_distinct_by_sender_recipient_and_text() -> None:
    stats = Stats()
    assert stats.message("1", "2", b"a", 0)
    assert stats.message("1", "3", b"a", 0)
    assert not stats.message("1", "2", b"a", 0)
    document = stats.document(0.0)
    assert (document["distinct"], document["duplicates"]) == (2, 1)


@given(st.permutations([1, 2, 3]), st.integers(1, 3))
def test_long_messages_join_in_any_order_and_count_once(order: list[int], again: int) -> None:
    stats = Stats()
    contents = {1: b"a", 2: b"b", 3: b"c"}
    joined = [stats.segment("1", "2", contents[number], 8, (77, 3, number)) for number in order]
    assert joined[:2] == [None, None]
    assert joined[2] == b"abc"
    assert stats.segment("1", "2", contents[again], 8, (77, 3, again)) is None
    document = stats.document(0.0)
    assert (document["distinct"], document["duplicates"], document["unjoined"]) == (1, 1, 0)


def test_same_long_text_under_another_reference_is_a_duplicate() -> None:
    stats = Stats()
    for reference in (1, 2):
        for number in (1, 2):
            stats.segment("1", "2", b"x", 8, (reference, 2, number))
    assert stats.document(0.0)["duplicates"] == 1


def test_a_part_number_that_cannot_be_is_counted_alone() -> None:
    stats = Stats()
    assert stats.segment("1", "2", b"x", 8, (1, 2, 3)) == b"x"
    assert stats.document(0.0)["distinct"] == 1


def test_reset_keeps_the_open_sessions() -> None:
    stats = Stats()
    stats.account("gx").session_opened()
    stats.account("gx").counts["submits"] += 4
    stats.reset()
    document = stats.document(0.0)
    assert (document["submits"], document["sessions"], document["sessions_max"]) == (0, 1, 1)


@given(st.lists(st.floats(0, 10)))
def test_schedule_gives_everything_in_order_of_time(dues: list[float]) -> None:
    schedule: Schedule[int] = Schedule()
    for position, due in enumerate(dues):
        schedule.put(due, position)
    taken = schedule.due(10, len(dues) + 1)
    assert [dues[position] for position in taken] == sorted(dues)
    assert schedule.next_due() is None


def test_schedule_takes_no_more_than_asked_and_nothing_early() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.put(1.0, "a")
    schedule.put(1.0, "b")
    schedule.put(2.0, "c")
    assert schedule.due(1.5, 1) == ["a"]
    assert schedule.due(1.5, 9) == ["b"]
    assert schedule.next_due() == 2.0
    schedule.clear()
    assert len(schedule) == 0


@pytest.mark.parametrize("field", msgspec.structs.fields(Faults), ids=lambda field: field.name)
def test_no_knob_is_forgotten_where_submits_are_taken_without_asking(field: msgspec.structs.FieldInfo) -> None:
    if field.name == "receipt_id":
        return
    most = {"receipt_delay_ms": 80, "undelivered_suffix": "7", "receipts": False, "receipt_elsewhere": False}
    value = most.get(field.name, True if isinstance(field.default, bool) else 1)
    turned = Behaviour(changed(Faults(), {field.name: value}))
    plain = Behaviour(Faults())
    if turned.takes_all:
        assert turned.fate(10**6, 10**6) is Fate.ACCEPT
        assert turned.latency_s() == 0
        assert not turned.response_lost()
        plan = turned.receipt("13800000000")
        assert plan is None or plan.delay_s >= 0
    if field.name.startswith(("receipt", "undelivered", "wrong_id")) and field.name != "receipt_elsewhere":
        plans = [turned.receipt("13800000007") for _ in range(9)]
        assert plans != [plain.receipt("13800000007")] * 9


def test_fates_follow_the_faults() -> None:
    assert Behaviour(Faults()).fate(10**6, 10**6) is Fate.ACCEPT
    assert Behaviour(Faults(silence=True)).fate(0, 0) is Fate.IGNORE
    assert Behaviour(Faults(half_open=True)).fate(0, 0) is Fate.IGNORE
    limited = Behaviour(Faults(rate_limit=5))
    assert [limited.fate(count, 0) for count in (4, 5)] == [Fate.ACCEPT, Fate.THROTTLE]
    windowed = Behaviour(Faults(window=3))
    assert [windowed.fate(0, count) for count in (3, 4)] == [Fate.ACCEPT, Fate.THROTTLE]
    assert Behaviour(Faults(refuse=1)).fate(0, 0) is Fate.REFUSE


def test_chance_is_seeded_and_near_its_ratio() -> None:
    def throttled(seed: int) -> list[bool]:
        behaviour = Behaviour(Faults(throttle=0.5, seed=seed))
        return [behaviour.fate(0, 0) is Fate.THROTTLE for _ in range(2000)]

    assert throttled(1) == throttled(1) != throttled(2)
    assert 900 < sum(throttled(1)) < 1100


def test_receipts_follow_the_faults() -> None:
    plan = Behaviour(Faults(receipt_delay_ms=100, receipt_duplicate=1, wrong_id=1)).receipt("8613800138000")
    assert plan is not None
    assert (plan.delay_s, plan.stat, plan.copies, plan.wrong_first) == (0.1, "DELIVRD", 2, True)
    failed = Behaviour(Faults()).receipt("8613800130404")
    assert failed is not None
    assert failed.stat == "UNDELIV"
    assert Behaviour(Faults(receipts=False)).receipt("1") is None
    assert Behaviour(Faults(receipt_drop=1)).receipt("1") is None
    early = Behaviour(Faults(receipt_before_response=1)).receipt("1")
    assert early is not None
    assert early.delay_s < 0


@pytest.mark.parametrize(
    ("notation", "given_id", "written"),
    [("same", "ff", "ff"), ("dec", "ff", "255"), ("hex", "255", "ff"), ("padded", "ff", "ff".rjust(20, "0"))],
)
def test_ids_in_receipts_are_written_as_ordered(notation: str, given_id: str, written: str) -> None:
    assert Behaviour(Faults(receipt_id=notation)).written_id(given_id) == written


def test_script_is_checked_whole_before_it_runs() -> None:
    steps = parse_script(b'[{"at_s": 9, "faults": {"silence": false}}, {"at_s": 1, "faults": {"silence": true}}]')
    assert [step.at_s for step in steps] == [1, 9]
    with pytest.raises(FaultsError, match="step 0"):
        parse_script(b'[{"at_s": 1, "faults": {"speed": 1}}]')
    with pytest.raises(FaultsError):
        parse_script(b"{}")
