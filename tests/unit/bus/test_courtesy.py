"""Bulk rests while codes are slow, and only then."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bus.consumer import Consumer
from bus.courtesy import (
    EASED,
    EASED_FOR_S,
    FLOW_S,
    HELPLESS_S,
    LEAST_REST_S,
    LOWER_S,
    MOST_REST_S,
    OTHER_S,
    RAISE_S,
    TRIAL_S,
    Courtesy,
)
from bus.intake import Limits

TARGET = 0.01


def flow(courtesy: Courtesy, begun: float, seconds: float, took_s: float, every_s: float = 0.02) -> list[float]:
    """Let codes come evenly that all take as long; return the rest after each."""
    rests = []
    for number in range(round(seconds / every_s)):
        now = begun + number * every_s
        courtesy.code(took_s, now)
        rests.append(courtesy.rest(now))
    return rests


def test_without_codes_and_with_quick_ones_nobody_rests():
    courtesy = Courtesy(TARGET)
    assert courtesy.rest(0.0) == 0.0
    assert set(flow(courtesy, 1.0, 5.0, TARGET)) == {0.0}


def test_the_first_slow_code_brings_the_most_and_later_ones_what_was_given_back():
    courtesy = Courtesy(TARGET)
    courtesy.code(2 * TARGET, 1.0)
    assert courtesy.rest(1.0) == MOST_REST_S
    lowered = flow(courtesy, 1.1, 4.0, TARGET)[-1]
    assert LEAST_REST_S < lowered < MOST_REST_S / 3
    courtesy.code(2 * TARGET, 5.1)
    assert courtesy.rest(5.1) == lowered, "one in two hundred is forgiven"
    courtesy.code(2 * TARGET, 5.1)
    assert courtesy.rest(5.1) == 3 * lowered


def test_a_burst_of_slow_codes_raises_it_once():
    courtesy = Courtesy(TARGET)
    courtesy.code(2 * TARGET, 1.0)
    lowered = flow(courtesy, 1.1, 4.0, TARGET)[-1]
    for number in range(100):
        courtesy.code(1.0, 5.1 + number * RAISE_S / 200)
    assert courtesy.rest(5.14) == 3 * lowered


def test_it_shrinks_while_no_code_is_slow_and_ends():
    courtesy = Courtesy(TARGET)
    flow(courtesy, 1.0, 0.3, 2 * TARGET)
    rests = flow(courtesy, 1.3, 30 * LOWER_S, TARGET / 2)
    assert rests == sorted(rests, reverse=True)
    assert MOST_REST_S > rests[len(rests) // 2] > 0.0
    assert rests[-1] == 0.0


def test_it_ends_when_no_codes_come():
    courtesy = Courtesy(TARGET)
    flow(courtesy, 1.0, 0.3, 2 * TARGET)
    assert courtesy.rest(1.3) == MOST_REST_S
    assert courtesy.rest(1.3 + FLOW_S + 0.1) == 0.0


def test_a_code_that_a_person_held_says_nothing():
    courtesy = Courtesy(TARGET)
    assert set(flow(courtesy, 1.0, 1.0, OTHER_S + 1)) == {0.0}


def test_where_resting_does_not_help_bulk_goes_on_for_a_while():
    courtesy = Courtesy(TARGET)
    rests = flow(courtesy, 1.0, TRIAL_S + 1, 10 * TARGET)
    assert MOST_REST_S in rests
    assert rests[-1] == 0.0
    at = 1.0 + TRIAL_S + 1
    assert set(flow(courtesy, at, HELPLESS_S - 3, 10 * TARGET)) == {0.0}
    assert MOST_REST_S in flow(courtesy, at + HELPLESS_S, 1.0, 10 * TARGET)


def test_where_codes_take_longer_by_themselves_that_becomes_the_measure():
    courtesy = Courtesy(TARGET)
    assert MOST_REST_S in flow(courtesy, 1.0, TRIAL_S + 1, 2 * TARGET)
    at = 1.0 + TRIAL_S + 1
    assert flow(courtesy, at, 10.0, 2 * TARGET)[-1] == 0.0
    assert MOST_REST_S in flow(courtesy, at + 10, 1.0, 2 * EASED * 2 * TARGET)
    assert MOST_REST_S in flow(courtesy, at + EASED_FOR_S, 1.0, 2 * TARGET), "the target is tried again"


def test_where_few_are_slow_after_a_long_rest_bulk_keeps_resting():
    courtesy = Courtesy(TARGET)
    courtesy.code(2 * TARGET, 0.9)
    for number in range(1500):
        now = 1.0 + number * 0.02
        courtesy.code(2 * TARGET if number % 3 == 0 else TARGET / 2, now)
        assert courtesy.rest(now) == MOST_REST_S


def test_one_slow_code_in_very_many_is_forgiven():
    courtesy = Courtesy(TARGET)
    for number in range(5_000):
        now = 1.0 + number * 0.001
        courtesy.code(2 * TARGET if number % 250 == 249 else TARGET / 2, now)
        assert courtesy.rest(now) == 0.0
    for number in range(300):
        now = 10.0 + number * 0.001
        courtesy.code(2 * TARGET if number % 100 == 99 else TARGET / 2, now)
    assert courtesy.rest(now) == MOST_REST_S


def test_no_target_no_rest():
    assert set(flow(Courtesy(0.0), 1.0, 5.0, 1.0)) == {0.0}


@pytest.mark.parametrize(("target_s", "rests"), [(0.0, False), (TARGET, True)])
def test_a_consumer_that_gathers_codes_can_be_told_not_to_rest(target_s, rests):
    consumer = Consumer(
        bootstrap_servers="",
        group="ingest.status",
        topics=["dispatch.outcomes.verification", "dispatch.outcomes.notice"],
        handler=SimpleNamespace(handle=None),
        producer=SimpleNamespace(),
        limits=Limits(gather_codes_s=0.1),
        code_target_s=target_s,
    )
    # What it gathers, and its own pause between two fetches, is not what bulk could mend.
    assert not any(flow(consumer._courtesy, 1.0, 1.0, 0.15))
    assert any(flow(consumer._courtesy, 10.0, 1.0, 0.2)) is rests
