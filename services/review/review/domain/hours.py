"""Review hours by the calendar of the People's Republic: workdays, holidays, make-up days; all in Asia/Shanghai.

China has had no daylight saving since 1991, so local time is UTC + 8 h.  The holidays of a year are published in the
autumn
before; for a year not yet published Monday to Friday are workdays, and `Hours.published` says that this is so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone

import chinese_calendar

from review.domain.policy import MINUTES_OF_DAY, Window

SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")
REVIEW_HOURS = Window(8 * 60 + 30, 17 * 60 + 30)
"""08:30-17:30 (review.md, "Hours, deadlines, fast lane")."""
SENDING_WINDOW = Window(8 * 60, 21 * 60)
"""08:00-21:00, the default sending window of a port."""

_MAX_SEARCH_DAYS = 60


def local(at_ms: int) -> datetime:
    """Return Unix milliseconds as time in Shanghai."""
    return datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(SHANGHAI)


def minute_of_day(at_ms: int) -> int:
    """Return the minute (0..1439) of the local day."""
    return int(at_ms // 60_000 + 8 * 60) % MINUTES_OF_DAY


def is_workday(day: date) -> bool:
    """Return whether people work on that day: the published calendar, else Monday to Friday."""
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        return day.weekday() < 5


@dataclass(frozen=True)
class Hours:
    """When reviewers work; ``every_day`` ignores the calendar (a setting of machines that show the platform)."""

    window: Window = REVIEW_HOURS
    every_day: bool = False
    workday: Callable[[date], bool] = is_workday

    def open_at(self, at_ms: int) -> bool:
        """Return whether reviewers work at that moment (Unix ms)."""
        now = local(at_ms)
        return self.window.holds(now.hour * 60 + now.minute) and (self.every_day or self.workday(now.date()))

    def next_opening(self, at_ms: int) -> int:
        """Return when review opens next (Unix ms), ``at_ms`` itself when it is open."""
        if self.open_at(at_ms):
            return at_ms
        start = local(at_ms)
        midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
        for days in range(_MAX_SEARCH_DAYS):
            opening = midnight + timedelta(days=days, minutes=self.window.start)
            if opening > start and (self.every_day or self.workday(opening.date())):
                return int(opening.timestamp() * 1_000)
        raise ValueError("the calendar has no workday in the next two months")

    @staticmethod
    def published(day: date) -> bool:
        """Return whether the holidays of that day's year are known."""
        try:
            chinese_calendar.is_workday(day)
        except NotImplementedError:
            return False
        return True
