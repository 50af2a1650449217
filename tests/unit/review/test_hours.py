"""Review hours: Shanghai, workdays, holidays and make-up days."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from review.domain.hours import SHANGHAI, Hours, minute_of_day
from review.domain.policy import Window


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp() * 1_000)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-09-28T08:29:59", False),  # a Monday
        ("2026-09-28T08:30:00", True),
        ("2026-09-28T17:29:59", True),
        ("2026-09-28T17:30:00", False),
        ("2026-09-20T10:00:00", True),  # a make-up Sunday
        ("2026-10-01T10:00:00", False),  # National Day, a Thursday
        ("2026-10-07T10:00:00", False),
        ("2026-10-08T10:00:00", True),
        ("2026-10-10T10:00:00", True),  # a make-up Saturday
        ("2026-10-11T10:00:00", False),
        ("2035-03-05T10:00:00", True),  # a Monday of a year without a published calendar
        ("2035-03-04T10:00:00", False),
    ],
)
def test_review_is_open_in_the_hours_of_workdays(moment, is_open):
    assert Hours().open_at(at(moment)) is is_open


def test_the_calendar_says_for_which_years_it_knows_the_holidays():
    assert Hours.published(date(2026, 5, 1))
    assert not Hours.published(date(2035, 5, 1))


def test_the_next_opening_skips_the_holidays():
    assert Hours().next_opening(at("2026-09-30T17:30:00")) == at("2026-10-08T08:30:00")
    assert Hours().next_opening(at("2026-09-30T07:00:00")) == at("2026-09-30T08:30:00")
    assert Hours().next_opening(at("2026-09-30T09:00:00")) == at("2026-09-30T09:00:00")
    with pytest.raises(ValueError, match="no workday"):
        Hours(workday=lambda _: False).next_opening(at("2026-09-30T18:00:00"))


def test_the_minute_of_the_day_is_local():
    utc = datetime(2026, 1, 1, 16, 30, tzinfo=UTC)
    assert minute_of_day(int(utc.timestamp() * 1_000)) == 30


def test_every_day_and_all_day():
    hours = Hours(Window(0, 1440), every_day=True)
    assert hours.open_at(at("2026-10-01T23:59:59"))


@pytest.mark.parametrize(
    "text", ["", "8", "08:00", "21:00-08:00", "08:00-08:00", "8:0-9:00", "25:00-26:00", "08:60-09:00"]
)
def test_a_window_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match=r"window|time"):
        Window.parse(text)


def test_a_window_reads_as_it_was_written():
    assert str(Window.parse("08:30-17:30")) == "08:30-17:30"
    assert str(Window.parse("00:00-24:00")) == "00:00-24:00"
