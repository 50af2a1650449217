"""A command line cut into calls, and what a call comes to (ITU-T V.250 clause 5.4).  Pure.

`E0V1+CMEE=1;+CPIN?` is three basic or extended calls; the first that fails ends the line.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

Form = Literal["execute", "read", "test", "set"]

_BASIC: Final = re.compile(r"(&?[A-Z])(\d*)(\?|=\??[^;]*)?", re.IGNORECASE | re.ASCII)
_EXTENDED: Final = re.compile(r"([+^*%$][A-Z0-9]{1,16})(=\?|\?|=|(?=;|\Z))", re.IGNORECASE | re.ASCII)
_ARGUMENTS: Final = re.compile(r'(?:"[^"]*"|[^;"])*')


class Call(msgspec.Struct, frozen=True):
    """One command: its name in capitals, how it is used, and its arguments, `None` where one is left out."""

    name: str
    form: Form
    arguments: tuple[str | None, ...] = ()

    def text(self, at: int, default: str = "") -> str:
        """Return an argument without its quotes."""
        found = self.arguments[at] if at < len(self.arguments) else None
        return default if found is None else found

    def number(self, at: int, default: int | None = None, *, most: int = 65_535) -> int:
        """Return an argument that is a number; raises `Refused` when it is none, or missing without a default."""
        found = self.arguments[at] if at < len(self.arguments) else None
        if found is None and default is not None:
            return default
        if found is None or not re.fullmatch(r"\d{1,6}", found, re.ASCII) or int(found) > most:
            raise Refused("CMS", INVALID_TEXT) if self.name in _MESSAGE_COMMANDS else Refused()
        return int(found)


class Refused(Exception):
    """A command's error: +CMS ERROR or +CME ERROR with a number, or a plain ERROR."""

    def __init__(self, kind: Literal["", "CMS", "CME"] = "", code: int = 0) -> None:
        super().__init__(kind, code)
        self.kind, self.code = kind, code


class Reply(msgspec.Struct, frozen=True):
    """Lines before the final result; without `done` the final result comes by itself, later."""

    lines: tuple[str, ...] = ()
    done: bool = True


OK: Final = Reply()
INVALID_PDU, INVALID_TEXT = 304, 305
_MESSAGE_COMMANDS: Final = frozenset({"+CMGS", "+CMGR", "+CMGL", "+CMGD", "+CMGW", "+CMSS", "+CMGC", "+CNMI", "+CNMA"})


def parse(text: str) -> list[Call]:
    """Return the calls of a command line without its AT; raises `Refused` for what is no command."""
    calls: list[Call] = []
    at = 0
    while at < len(text):
        if text[at] in "; ":
            at += 1
            continue
        extended = _EXTENDED.match(text, at)
        if extended is None:
            basic = _BASIC.match(text, at)
            if basic is None:
                raise Refused
            calls.append(Call(basic[1].upper(), "execute", (basic[2] or None,)))
            at = basic.end()
            continue
        name, sign = extended[1].upper(), extended[2]
        at = extended.end()
        arguments: tuple[str | None, ...] = ()
        if sign == "=":
            found = _ARGUMENTS.match(text, at)
            assert found is not None  # it matches nothing, too
            arguments, at = _split(found[0]), found.end()
        forms: dict[str, Form] = {"=": "set", "?": "read", "=?": "test", "": "execute"}
        calls.append(Call(name, forms[sign], arguments))
    return calls


def _split(text: str) -> tuple[str | None, ...]:
    pieces = re.findall(r'(?:^|,)\s*("[^"]*"|[^,"]*)', text)
    return tuple(piece[1:-1] if piece.startswith('"') else (piece.strip() or None) for piece in pieces)
