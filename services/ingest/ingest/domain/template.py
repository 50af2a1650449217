"""A text with named variables, taken apart once: ``尊敬的{name}，您{month}月电费{amount}元``.

Braces are doubled to stand for themselves (``{{``), as in Python's own format strings; nothing of format's attribute or index access
exists here, so a caller's text can reach nothing.
"""

from __future__ import annotations

import re
import unicodedata

import msgspec

from ingest.domain.refusal import Refused

MAX_VARIABLES = 20
"""Distinct names in one template; a notice has three or four."""
MAX_NAME = 32
"""Characters of a variable's name."""

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_NAME = re.compile(r"[^\W\d]\w*\Z")

# C0 and C1 controls but line feed, carriage return and tab; lone surrogates cannot be encoded; NUL PostgreSQL cannot store.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Template(msgspec.Struct, frozen=True):
    """``pieces[0] + v[slots[0]] + pieces[1] + ...`` where ``v`` is the row of values in the order of ``names``."""

    pieces: list[str]
    slots: list[int]
    names: list[str]

    @property
    def literal_units(self) -> int:
        """UTF-16 units of the text outside its variables."""
        return units("".join(self.pieces))


def units(text: str) -> int:
    """Return how many UTF-16 units the text has: what UCS2 counts, two for a character outside the BMP."""
    return len(text) if text.isascii() else len(text.encode("utf-16-be", "surrogatepass")) // 2


def clean(text: str) -> bool:
    """Return whether the text has only characters a phone can show and the database can hold."""
    return _FORBIDDEN.search(text) is None


def plain(text: str) -> Template:
    """Return a content without variables; braces in it mean nothing."""
    return Template([text], [], [])


def parse(text: str) -> Template:
    """Return the template taken apart; raises `Refused` with `template_invalid` saying where and why."""
    pieces: list[str] = []
    slots: list[int] = []
    names: list[str] = []
    piece: list[str] = []
    position = 0
    for token in _TOKEN.finditer(text):
        piece.append(text[position : token.start()])
        position = token.end()
        if token[0] in ("{{", "}}"):
            piece.append(token[0][0])
            continue
        name = unicodedata.normalize("NFC", (token[1] or "").strip())
        if token[1] is None or len(name) > MAX_NAME or not _NAME.match(name):
            raise Refused("template_invalid", {"at": token.start()})
        if name not in names:
            names.append(name)
        slots.append(names.index(name))
        pieces.append("".join(piece))
        piece = []
    piece.append(text[position:])
    pieces.append("".join(piece))
    if len(names) > MAX_VARIABLES:
        raise Refused("template_invalid", {"variables": len(names), "most": MAX_VARIABLES})
    return Template(pieces, slots, names)
