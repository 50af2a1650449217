"""Times as the wire writes them, computed from epoch seconds without a clock and without the machine's time zone.

China has one zone and no daylight saving: every carrier time is UTC+8 (32 quarter hours).
"""

from __future__ import annotations

import time
from calendar import timegm
from functools import lru_cache

_BEIJING = 8 * 3600


def absolute(epoch: float) -> str:
    """``YYMMDDhhmmsstnnp`` in UTC+8 (SMPP 3.4 clause 7.1.1; CMPP, SMGP and SGIP take the same 16 characters)."""
    return time.strftime("%y%m%d%H%M%S0", time.gmtime(epoch + _BEIJING)) + "32+"


def compact(epoch: float) -> str:
    """``YYMMDDhhmm`` in UTC+8, the notation of delivery reports."""
    return _compact(int(epoch) // 60)


@lru_cache(maxsize=16)
def _compact(minute: int) -> str:
    """Remembered, because every report carries two."""
    return time.strftime("%y%m%d%H%M", time.gmtime(60 * minute + _BEIJING))


def login_stamp(epoch: float) -> int:
    """``MMDDhhmmss`` in UTC+8 as the integer that logins and sequence numbers carry."""
    return _login_stamp(int(epoch))


@lru_cache(maxsize=16)
def _login_stamp(second: int) -> int:
    """Remembered, because a gateway asks for every message id it makes."""
    return int(time.strftime("%m%d%H%M%S", time.gmtime(second + _BEIJING)))


def stamped_at(stamp: int, epoch: float) -> float | None:
    """The epoch seconds of a received ``MMDDhhmmss``, in the year that brings it nearest to ``epoch``; None when it is
    no such time.
    """
    text = f"{stamp:010d}"
    year = time.gmtime(epoch + _BEIJING).tm_year
    times: list[float] = []
    for candidate in (year - 1, year, year + 1):
        try:
            times.append(timegm(time.strptime(f"{candidate}{text}", "%Y%m%d%H%M%S")) - _BEIJING)
        except ValueError:
            continue
    return min(times, key=lambda at: abs(at - epoch), default=None)


def stamp_distance(stamp: int, epoch: float) -> float | None:
    """Seconds between a received ``MMDDhhmmss`` and ``epoch``, taking the nearest year; None when it is no such
    time.
    """
    at = stamped_at(stamp, epoch)
    return None if at is None else abs(at - epoch)
