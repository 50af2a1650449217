"""Strings of the fast paths: checked before they are packed, because ``struct`` would cut them silently."""

from __future__ import annotations

from carrier.errors import CarrierError


def octets(value: str, most: int, name: str) -> bytes:
    """``value`` in at most ``most`` octets without a NUL. Raises ``CarrierError`` naming the field."""
    try:
        encoded = value.encode("latin-1")
    except UnicodeEncodeError:
        raise CarrierError(f"{name}: has characters the wire cannot carry") from None
    if len(encoded) > most or b"\0" in encoded:
        raise CarrierError(f"{name}: at most {most} octets and no NUL")
    return encoded


def cut(field: bytes) -> str:
    """The text of a fixed field: everything before the first NUL (reference 13.3, pitfalls 1 and 9)."""
    end = field.find(b"\0")
    return field.decode("latin-1") if end < 0 else field[:end].decode("latin-1")


def number(value: str, size: int, name: str) -> int:
    """A message id written as ``2 * size`` hexadecimal digits or fewer. Raises ``CarrierError``."""
    try:
        parsed = int(value, 16) if value.isalnum() and value.isascii() and len(value) <= 2 * size else -1
    except ValueError:
        parsed = -1
    if parsed < 0:
        raise CarrierError(f"{name}: at most {2 * size} hexadecimal digits needed")
    return parsed
