"""The words by which a customer says no.  Whole message only; survey and command grammar is tried after it.  Pure."""

from __future__ import annotations

import re
import unicodedata

DEFAULT_WORDS: tuple[str, ...] = ("T", "TD", "N", "R", "0000", "退订")
"""spec/dispatch.md, "Replies (MO)"."""

LONGEST = 16
"""Characters of the longest word recognised; longer texts are no opt-out words and are not even normalised."""


def normalise(text: str) -> str:
    """Return the text as words are compared: full-width to half-width, upper case, no surrounding blanks or full stops."""
    return unicodedata.normalize("NFKC", text).strip().strip(".。!！").strip().upper()


def opt_out_word(text: str, words: frozenset[str]) -> str:
    """Return the word when the whole message is one, else an empty text; ``words`` are normalised."""
    if len(text) > LONGEST * 2:
        return ""
    word = normalise(text)
    return word if word in words else ""


def word_set(words: tuple[str, ...]) -> frozenset[str]:
    """Return the words as `opt_out_word` wants them."""
    return frozenset(normalise(word) for word in words)


_ANNOUNCED = re.compile(
    r"(?:回复?|答复|发送)\s*([A-Za-z0-9]{1,8})\s*(?:即可)?退订|退订\s*(?:请)?(?:回复?|发送)\s*([A-Za-z0-9]{1,8})"
)


def announced_words(text: str) -> frozenset[str]:
    """Return the words a message itself announces for opting out (回X退订, 退订回X), normalised."""
    return frozenset(normalise(a or b) for a, b in _ANNOUNCED.findall(text))
