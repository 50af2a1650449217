"""When are two contents the same: an exact fingerprint over a normalised skeleton, and a sketch for near copies.

Similar means *bulk* here, never *spam*: this is what the bulk threshold counts with (content-filter.md,
"Near-duplicates").
Pure; the skeleton keeps letters and digits only, so symbols, spaces, full width and traditional characters change
nothing.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from heapq import nsmallest
from typing import NamedTuple

import opencc
import xxhash

from contracts.chunk import Entry, render

SKETCH_SIZE = 32
"""Smallest gram hashes kept (bottom-k); 32 finds 0.98 of disguised copies at 15 us (content-filter.md)."""

NEAR = 0.3
"""Estimated Jaccard from which two contents count as one (content-filter.md)."""

_GRAM = 3
_MIN_LITERAL = 10
"""A template whose own text is shorter than this says nothing: its first rendered message is compared instead."""

_MAX_TEXT = 4_000
_SIGN = 1 << 63

_to_simplified = opencc.OpenCC("t2s")
# The signature and the opt-out phrase are common to everything an enterprise sends; they would make different
# notices look alike.
_BOILERPLATE = re.compile(
    r"^\s*【[^】]{1,30}】|【[^】]{1,30}】\s*$|(?:拒收请?|退订)?回复?[TRND]{1,2}[D]?(?:退订|拒收)?\s*$", re.IGNORECASE
)
_NOT_WORD = re.compile(r"[\W_]+")
_DIGITS = re.compile(r"\d+")


class Fingerprint(NamedTuple):
    """``exact`` is a signed 64-bit hash of the skeleton, ``sketch`` its bottom-k gram hashes, ascending."""

    exact: int
    sketch: tuple[int, ...]


def skeleton(text: str) -> str:
    """Return the text without what disguises copies: width, case, symbols, spaces, script variant, and the digits'
    values.
    """
    plain = unicodedata.normalize("NFKC", text[:_MAX_TEXT])
    plain = _BOILERPLATE.sub("", plain)
    plain = _NOT_WORD.sub("", plain.casefold())
    # Amounts, dates and codes differ from message to message of one content.
    return _DIGITS.sub("0", _to_simplified.convert(plain))


def fingerprint(text: str) -> Fingerprint:
    """Return the fingerprint of a text; a text without letters or digits is compared as it stands.

    Notices of one content differ in their digits, which the skeleton does not keep: they are looked up without them.
    """
    return _fingerprint(_DIGITS.sub("0", text[:_MAX_TEXT]))


@lru_cache(maxsize=8_192)
def _fingerprint(text: str) -> Fingerprint:
    bones = skeleton(text) or text[:_MAX_TEXT]
    grams = {bones[i : i + _GRAM] for i in range(max(1, len(bones) - _GRAM + 1))}
    hashes = {xxhash.xxh64_intdigest(gram.encode("utf-8", "surrogatepass")) - _SIGN for gram in grams}
    exact = xxhash.xxh64_intdigest(bones.encode("utf-8", "surrogatepass")) - _SIGN
    return Fingerprint(exact, tuple(nsmallest(SKETCH_SIZE, hashes)))


def similarity(left: tuple[int, ...], right: tuple[int, ...]) -> float:
    """Return the estimated Jaccard similarity (0..1) of two sketches.

    Of the smallest hashes of the union, the share found in both: an unbiased estimate (Broder's bottom-k).
    """
    if not left or not right:
        return 0.0
    mine, theirs = set(left), set(right)
    smallest = nsmallest(SKETCH_SIZE, mine | theirs)
    return sum(1 for value in smallest if value in mine and value in theirs) / len(smallest)


def text_to_compare(entry: Entry) -> str:
    """Return the text that stands for an entry: a template's own words, or the first message where it has hardly
    any.
    """
    if not entry.slots:
        return entry.pieces[0]
    literal = "".join(entry.pieces)
    return literal if len(literal) >= _MIN_LITERAL else render(entry, 0)


def pack(sketch: tuple[int, ...]) -> bytes:
    """Return the sketch as octets, eight a hash, big endian: how a row keeps it."""
    return b"".join(value.to_bytes(8, "big", signed=True) for value in sketch)


def unpack(octets: bytes) -> tuple[int, ...]:
    """Return the sketch that `pack` wrote."""
    return tuple(int.from_bytes(octets[i : i + 8], "big", signed=True) for i in range(0, len(octets), 8))
