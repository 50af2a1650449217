"""The dialects of ``decode`` and ``encode``: wire bytes to fields under the standards' own names, and back.

Every dialect is a pair of functions that raise `WireError` with the octet offset, and nothing else, on bad input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import carrier.dialects
from carrier.errors import CarrierError
from guanxin.i18n import t


class WireError(ValueError):
    """Malformed input; ``offset`` is the octet at which it went wrong, None where the input has no octets."""

    def __init__(self, reason: str, offset: int | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset


Decoder = Callable[[bytes], Mapping[str, Any]]
Encoder = Callable[[Mapping[str, Any]], bytes]

_GSM = ("gsm-submit", "gsm-deliver", "gsm-status", "gsm-submit-report", "gsm-deliver-report", "gsm-command")
_PUSH = ("wappush", "wbxml")


def codec(name: str) -> tuple[Decoder, Encoder]:
    """Return (decode, encode) of the dialect; KeyError for a name that is not in `names`."""
    if name in _GSM:
        return partial(_decode_gsm, name), partial(_encode_gsm, name)
    if name in _PUSH:
        return partial(_decode_push, name), partial(_encode_push, name)
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
    return (*carrier.dialects.NAMES, *_GSM, *_PUSH)


# The packages below are imported when they are asked for: the command line starts quickly.


def _decode_gsm(kind: str, octets: bytes) -> Mapping[str, Any]:
    import gsm  # noqa: PLC0415

    try:
        return gsm.decode_fields(kind, octets)
    except gsm.GsmError as error:
        raise WireError(_reason(error.zh, error.en, error.field), error.at) from error


def _encode_gsm(kind: str, fields: Mapping[str, Any]) -> bytes:
    import gsm  # noqa: PLC0415

    try:
        return gsm.encode_fields(kind, fields)
    except gsm.GsmError as error:
        raise WireError(_reason(error.zh, error.en, error.field), None) from error


def _decode_push(kind: str, octets: bytes) -> Mapping[str, Any]:
    import wappush  # noqa: PLC0415

    try:
        return wappush.decode_fields(kind, octets)
    except wappush.PushError as error:
        raise WireError(_reason(error.zh, error.en, error.field), error.at) from error


def _encode_push(kind: str, fields: Mapping[str, Any]) -> bytes:
    import wappush  # noqa: PLC0415

    try:
        return wappush.encode_fields(kind, fields)
    except wappush.PushError as error:
        raise WireError(_reason(error.zh, error.en, error.field), None) from error


def _reason(zh: str, en: str, field: str) -> str:
    return t(zh, en) + (f" ({field})" if field else "")
