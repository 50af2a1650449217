"""The dialects of ``decode`` and ``encode``: wire bytes to fields under the standards' own names, and back.

Every dialect is a pair of functions that raise `WireError` with the octet offset, and nothing else, on bad input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import carrier.dialects
from carrier.errors import CarrierError


class WireError(ValueError):
    """Malformed input; ``offset`` is the octet at which it went wrong, None where the input has no octets."""

    def __init__(self, reason: str, offset: int | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset


Decoder = Callable[[bytes], Mapping[str, Any]]
Encoder = Callable[[Mapping[str, Any]], bytes]


def codec(name: str) -> tuple[Decoder, Encoder]:
    """Return (decode, encode) of the dialect; KeyError for a name that is not in `names`."""
    if name not in carrier.dialects.NAMES:
        raise KeyError(name)
    dialect = carrier.dialects.dialect(name)

    def decode(octets: bytes) -> Mapping[str, Any]:
        try:
            return dialect.decode(octets)
        except CarrierError as error:
            raise WireError(error.reason, error.offset) from error

    def encode(fields: Mapping[str, Any]) -> bytes:
        try:
            return dialect.encode(fields)
        except CarrierError as error:
            raise WireError(error.reason, error.offset) from error

    return decode, encode


def names() -> tuple[str, ...]:
    """Return the dialects there are."""
    return carrier.dialects.NAMES
