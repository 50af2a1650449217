"""The reckoning of a scenario: every promise that is broken is named, and a flow that stopped is seen to return."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import pytest
from chaos import report
from chaos.reckoning import Figures, flow_again
from chaos.upstream import HELD, SPAM
from chaos.wire import readdress

SENT = 1_000
CARRIER = {
    "distinct": SENT,
    "duplicates": 3,
    "binds_accepted": 5,
    "sessions": 3,
    "unanswered": 0,
    "max_submits_in_1s": 100,
    "sessions_max": 3,
    "over_sessions": 0,
}
CHARGED = {
    "ok": True,
    "answered": SENT,
    "closed": SENT,
    "filed": SENT,
    "doubled_records": 0,
    "missing": 0,
    "unfounded": 0,
    "file_records": SENT,
    "file_gaps": 0,
}
GOOD = Figures(
    scenario="x",
    seed=1,
    messages=SENT,
    agreed={"rate": 100, "sessions": 3, "window": 50},
    states={"total": SENT + HELD + SPAM, "delivered": SENT, "held": HELD, "blocked": SPAM},
    unapproved=HELD + SPAM,
    carrier=CARRIER,
    charged=CHARGED,
    uncertain=10,
    retries={},
    faults=[{"what": "SIGKILL x", "at_s": 1.0, "ready_s": 2.0, "flow_s": None}],
    seconds=1.0,
)


def _wrong(figures: Figures) -> list[str]:
    return figures.wrong(held=HELD, blocked=SPAM)


def test_good_figures_hold() -> None:
    assert _wrong(GOOD) == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"distinct": SENT - 1}, "lost 1"),
        ({"distinct": SENT + 1}, "unapproved"),
        ({"duplicates": 11}, "duplicates 11 > uncertain 10"),
        ({"max_submits_in_1s": 101}, "101 submits in a second"),
        ({"sessions_max": 4}, "4 sessions"),
    ],
)
def test_what_the_carrier_saw_is_judged(change: dict[str, Any], word: str) -> None:
    (fact,) = _wrong(replace(GOOD, carrier={**CARRIER, **change}))
    assert word in fact


@pytest.mark.parametrize("change", [{"answered": SENT + 1}, {"filed": SENT - 1}, {"doubled_records": 1}, {"ok": False}])
def test_every_segment_is_charged_exactly_once(change: dict[str, Any]) -> None:
    (fact,) = _wrong(replace(GOOD, charged={**CHARGED, **change}))
    assert fact.startswith("charged")


def test_more_than_a_window_for_each_session_that_ended_is_too_uncertain() -> None:
    assert GOOD.sessions_ended == 2
    assert _wrong(replace(GOOD, uncertain=100)) == []
    assert _wrong(replace(GOOD, uncertain=101)) == ["uncertain 101 > 100"]


def test_states_must_account_for_every_message() -> None:
    states = {**GOOD.states, "delivered": SENT - 1, "submitted": 1}
    (fact,) = _wrong(replace(GOOD, states=states))
    assert "final state" in fact


def test_flow_returns_when_the_old_speed_is_there_for_a_second() -> None:
    steady = [(t / 4, t * 25) for t in range(41)]
    stopped = [(10 + t / 4, 1_000) for t in range(1, 20)]
    again = [(15 + t / 4, 1_000 + t * 25) for t in range(21)]
    assert flow_again(steady + stopped + again, 10.0, 10.0) == pytest.approx(5.0, abs=0.3)
    assert flow_again(steady + stopped + again, 12.0, 10.0) == pytest.approx(3.0, abs=0.3)
    assert flow_again(steady, 5.0, 5.0) == 0.0
    assert flow_again(steady + stopped, 10.0, 10.0) is None


def test_kafka_answers_are_readdressed_without_changing_their_length() -> None:
    change = readdress(9092, 19092)
    octets = b"x\x00\x09127.0.0.1" + struct.pack(">i", 9092) + b"y"
    assert change(octets) == b"x\x00\x09127.0.0.1" + struct.pack(">i", 19092) + b"y"


def test_the_page_names_scenario_counts_and_what_was_wrong() -> None:
    row = {**GOOD.document(), "wrong": ["lost 1"], "machine": "m", "date": "2026-01-01"}
    page = report.page({"x": row})
    assert "| x | 1,000 | 0 | 3 | 10 | 100/100 | 3/3 | 1,000 | 否 no: lost 1 |" in page
    assert "| 1.0 | SIGKILL x | 2.0 | – |" in page
