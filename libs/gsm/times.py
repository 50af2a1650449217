"""Time stamps of seven octets, and validity in its three formats (3GPP TS 23.040 clauses 9.2.3.11 and 9.2.3.12)."""

import re
from typing import Final

import msgspec

from gsm.faults import GsmError

_TEXT: Final = re.compile(r"20(\d\d)-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)([+-])(\d\d):(00|15|30|45)\Z", re.ASCII)


class Timestamp(msgspec.Struct, frozen=True):
    """Local time and its zone, as on the wire: the two digits of the year of this century, the zone in quarter hours.

    Not a `datetime`, because handsets and centres send days that no calendar has, and those must survive.
    """

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int
    quarters: int = 32
    """East of Greenwich; China is 32."""
    west: bool = False

    def __str__(self) -> str:
        hours, quarter = divmod(self.quarters, 4)
        return (
            f"20{self.year:02}-{self.month:02}-{self.day:02}T{self.hour:02}:{self.minute:02}:{self.second:02}"
            f"{'-' if self.west else '+'}{hours:02}:{15 * quarter:02}"
        )


def timestamp_of(text: str) -> Timestamp:
    """A time stamp from `2030-01-02T03:04:05+08:00`; raises `GsmError("time_invalid")`."""
    match = _TEXT.match(text)
    if match is None:
        raise GsmError("time_invalid")
    year, month, day, hour, minute, second = (int(match[group]) for group in range(1, 7))
    return Timestamp(year, month, day, hour, minute, second, 4 * int(match[8]) + int(match[9]) // 15, match[7] == "-")


def encode_timestamp(time: Timestamp) -> bytes:
    """Seven octets of swapped decimal digits; the sign is bit 3 of the last."""
    digits = (time.year, time.month, time.day, time.hour, time.minute, time.second)
    if not all(0 <= value <= 99 for value in digits) or not 0 <= time.quarters <= 79:
        raise GsmError("time_invalid")
    zone = time.quarters // 10 | time.quarters % 10 << 4 | time.west << 3
    return bytes(value // 10 | value % 10 << 4 for value in digits) + bytes((zone,))


def decode_timestamp(octets: bytes) -> Timestamp:
    """The time stamp of seven octets. A nibble that is no decimal digit counts 0: some centres send such."""
    year, month, day, hour, minute, second = (10 * _digit(octet & 15) + _digit(octet >> 4) for octet in octets[:6])
    zone = octets[6]
    return Timestamp(year, month, day, hour, minute, second, 10 * (zone & 7) + _digit(zone >> 4), bool(zone & 8))


def relative_validity(minutes: float) -> int:
    """The smallest relative TP-VP that lasts at least `minutes`; 255, 63 weeks, when none does."""
    if minutes <= 720:
        return max(0, -int(-minutes // 5) - 1)
    if minutes <= 1440:
        return 143 - int(-(minutes - 720) // 30)
    if minutes <= 30 * 1440:
        return 166 - int(-minutes // 1440)
    return min(255, 192 - int(-minutes // 10080))


def validity_minutes(value: int) -> int:
    """How long a relative TP-VP lasts."""
    if value <= 143:
        return 5 * (value + 1)
    if value <= 167:
        return 720 + 30 * (value - 143)
    if value <= 196:
        return 1440 * (value - 166)
    return 10080 * (value - 192)


def enhanced_seconds(seconds: int, *, single_shot: bool = False) -> bytes:
    """An enhanced TP-VP of 1 to 255 seconds (format 2), or of hours, minutes and seconds up to 99 hours (format 3)."""
    shot = 0x40 if single_shot else 0
    if 1 <= seconds <= 255:
        return bytes((shot | 2, seconds, 0, 0, 0, 0, 0))
    hours, rest = divmod(seconds, 3600)
    if not 0 <= hours <= 99 or seconds < 1:
        raise GsmError("field_range", 0, "TP-VP")
    parts = (hours, rest // 60, rest % 60)
    return bytes((shot | 3, *(value // 10 | value % 10 << 4 for value in parts), 0, 0, 0))


def enhanced_duration(octets: bytes) -> int | None:
    """Seconds an enhanced TP-VP lasts; None when it names no period or a reserved format."""
    form = octets[0] & 7
    if form == 1:
        return 60 * validity_minutes(octets[1])
    if form == 2:
        return octets[1]
    if form == 3:
        hours, minutes, seconds = (10 * _digit(octet & 15) + _digit(octet >> 4) for octet in octets[1:4])
        return 3600 * hours + 60 * minutes + seconds
    return None


def _digit(nibble: int) -> int:
    return nibble if nibble < 10 else 0
