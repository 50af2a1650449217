"""The number segment table: prefix to carrier and kind, as data of a version and source; it parses no telephone number.

Two flat arrays indexed by the first five digits, because a lookup then is one subscript and a batch is one `map`.
"""

import tomllib
from enum import IntEnum, StrEnum
from importlib import resources
from typing import Final


class Carrier(IntEnum):
    """Whose network a number is on. The value is what event arrays and tables hold; it never changes its meaning."""

    UNKNOWN = 0
    CMCC = 1
    CUCC = 2
    CTCC = 3
    CBN = 4
    OTHER = 5


class Kind(StrEnum):
    """What a number is, which says whether it can receive a short message and whether it may be ported."""

    MOBILE = "mobile"
    VIRTUAL = "virtual"
    IOT = "iot"
    DATA_CARD = "data_card"
    SATELLITE = "satellite"
    UNROUTABLE = "unroutable"
    FIXED = "fixed"
    SERVICE = "service"
    UNALLOCATED = "unallocated"


# Not portable by the operators' rules of 2019 (reference section 11); data cards keep an ordinary segment.
PORTABLE: Final = frozenset({Kind.MOBILE, Kind.DATA_CARD})

_KINDS: Final = tuple(Kind)
_PREFIX_DIGITS: Final = 5


class SegmentTable:
    """Carrier and kind by the first five digits of a mobile or IoT number, the longest prefix winning."""

    def __init__(self, text: str) -> None:
        """Parse the TOML of `segments.toml`; raises `ValueError` naming the row that is wrong."""
        content = tomllib.loads(text)
        self.version: str = content["version"]
        self.source: str = content["source"]
        self.carriers, self._kinds = _arrays(content["numbers"])
        self.iot_carriers, self._iot_kinds = _arrays(content["iot"])
        virtual = _KINDS.index(Kind.VIRTUAL)
        self.virtual = frozenset(prefix for prefix, kind in enumerate(self._kinds) if kind == virtual)
        """First five digits of virtual operators' numbers."""

    def kind(self, national: int) -> Kind:
        """Kind of an 11-digit mobile number given as an integer."""
        return _KINDS[self._kinds[national // 1_000_000]]

    def iot_kind(self, national: int) -> Kind:
        """Kind of a 13-digit number given as an integer."""
        return _KINDS[self._iot_kinds[national // 100_000_000]]


def _arrays(rows: list[list[str]]) -> tuple[bytes, bytes]:
    size = 10**_PREFIX_DIGITS
    carriers = bytearray(size)
    kinds = bytearray([_KINDS.index(Kind.UNALLOCATED)]) * size
    spans = [(row, *_span(row)) for row in rows]
    for row, low, high, digits in sorted(spans, key=lambda span: span[3]):  # longer prefixes overwrite shorter ones
        scale = 10 ** (_PREFIX_DIGITS - digits)
        first, count = low * scale, (high - low + 1) * scale
        carriers[first : first + count] = bytes([Carrier[row[1]]]) * count
        kinds[first : first + count] = bytes([_KINDS.index(Kind(row[2]))]) * count
    return bytes(carriers), bytes(kinds)


def _span(row: list[str]) -> tuple[int, int, int]:
    low, _, high = row[0].partition("-")
    high = high or low
    if not (low.isdigit() and high.isdigit() and len(low) == len(high) <= _PREFIX_DIGITS and low <= high):
        raise ValueError(f"segment table: bad prefix {row[0]!r}")
    return int(low), int(high), len(low)


SEGMENTS: Final = SegmentTable(resources.files("smstext").joinpath("segments.toml").read_text("utf-8"))
