"""Carrier message ids: one canonical form to store, and the forms a receipt's id may have had in the submit answer.

SMPP gateways answer a submit with one notation and send the receipt with another (hexadecimal or decimal, with or
without leading zeros, SMPP reference 5.14): which one is a setting of the link.
"""

from __future__ import annotations

from enum import StrEnum

LONGEST_ID = 64
"""Octets of the longest id on any wire (SMPP message_id, C-octet string of at most 65 with its NUL)."""

_HEX = frozenset("0123456789abcdef")


class IdMode(StrEnum):
    """A link's setting for how receipt ids relate to submit answers' ids."""

    AUTO = "auto"
    EXACT = "exact"
    HEX_TO_DEC = "hex_to_dec"
    """The receipt writes hexadecimal what the submit answer wrote decimal."""
    DEC_TO_HEX = "dec_to_hex"
    """The receipt writes decimal what the submit answer wrote hexadecimal."""


def canonical(raw: str) -> str:
    """The form under which an id is stored and compared: no spaces, lower case, no leading zeros ("0" stays "0")."""
    text = raw.strip(" \0").lower()
    return text.lstrip("0") or text[:1]


def candidates(raw: str, mode: IdMode = IdMode.AUTO) -> tuple[str, ...]:
    """Canonical ids a receipt's ``raw`` id can stand for, the likeliest first and each once; empty for an empty id.

    A conversion that is impossible (letters read as decimal, longer than any wire allows) yields no candidate, so in
    the converting modes the exact form is kept as the last resort.
    """
    exact = canonical(raw)
    if not exact:
        return ()
    if mode is IdMode.EXACT:
        return (exact,)
    found: list[str] = []
    if len(exact) <= LONGEST_ID and _HEX.issuperset(exact):
        if mode is not IdMode.DEC_TO_HEX:
            found.append(str(int(exact, 16)))
        if mode is not IdMode.HEX_TO_DEC and exact.isdecimal():
            found.append(f"{int(exact):x}")
    ordered = [exact, *reversed(found)] if mode is IdMode.AUTO else [*found, exact]
    return tuple(dict.fromkeys(ordered))
