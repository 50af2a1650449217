"""The octets of a modem as lines with a meaning: final results, unsolicited codes, the prompt, the rest (TS 27.005).

A line is known by its beginning and never by its place: unsolicited codes come between any two lines. Octets to lines
only; which command a line answers is `at_channel`'s.
"""

import re
from typing import Final

import msgspec

MOST_LINE: Final = 4096  # octets: the longest line, a stored long PDU, is under 400; what is longer is noise

_FINALS: Final = frozenset({"OK", "ERROR", "NO CARRIER", "BUSY", "NO ANSWER", "NO DIALTONE", "COMMAND NOT SUPPORT"})
_ERROR: Final = re.compile(r"\+(CMS|CME) ERROR: ?(.*)\Z", re.ASCII | re.DOTALL)
_CODE: Final = re.compile(r"\d{1,8}\Z", re.ASCII)
_WITH_PDU: Final = frozenset({"+CMT", "+CDS", "+CBM"})
"""Codes followed by a PDU on a line of its own."""
_UNSOLICITED: Final = (
    *("+CMT:", "+CDS:", "+CBM:", "+CMTI:", "+CDSI:", "+CBMI:"),
    *("RING", "+CRING:", "+CUSD:", "RDY", "^", "*", "%"),
)


class Line(msgspec.Struct, frozen=True):
    """Part of a command's answer, or an echo."""

    text: str


class Result(msgspec.Struct, frozen=True):
    """The end of a command's answer. `code` is the number of +CMS or +CME ERROR, where numeric."""

    ok: bool
    text: str
    kind: str = ""
    code: int | None = None


class Prompt(msgspec.Struct, frozen=True):
    """The modem asks for the PDU."""


class Unsolicited(msgspec.Struct, frozen=True):
    """A code nobody asked for: its name without colon (`+CMTI`), the rest, and the PDU line of those that have one."""

    name: str
    rest: str
    pdu: str | None = None


Item = Line | Result | Prompt | Unsolicited


class LineReader:
    """Cuts octets into items. Holds at most one unfinished line and one unsolicited code that waits for its PDU."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._waiting: Unsolicited | None = None
        self._skipping = False

    def receive(self, data: bytes) -> list[Item]:
        """The items that `data` completes. Never raises: noise becomes lines or is dropped."""
        items: list[Item] = []
        for octet in data:
            if octet in b"\r\n":
                self._end(items)
            elif octet in b"> " and not self._buffer:
                if octet == 0x3E:  # no line begins with it; the space after it is not waited for
                    items.append(Prompt())
            elif len(self._buffer) < MOST_LINE:
                self._buffer.append(octet)
            else:
                self._skipping = True
        return items

    def _end(self, items: list[Item]) -> None:
        text = "" if self._skipping else self._buffer.decode("latin-1").strip()
        self._buffer.clear()
        self._skipping = False
        if not text:
            return
        waiting = self._waiting
        if waiting is not None and _fits(text, waiting.rest):
            items.append(Unsolicited(waiting.name, waiting.rest, text))
            self._waiting = None
            return
        item = _meaning(text)
        begins = isinstance(item, Unsolicited) and item.name in _WITH_PDU
        if waiting is not None and (begins or not isinstance(item, Unsolicited)):
            items.append(waiting)  # its PDU did not come
            self._waiting = None
        if isinstance(item, Unsolicited) and begins:
            self._waiting = item
        else:
            items.append(item)


def _meaning(text: str) -> Item:
    if text in _FINALS:
        return Result(text == "OK", text)
    error = _ERROR.match(text)
    if error:
        code = error[2].strip()
        return Result(False, text, error[1], int(code) if _CODE.match(code) else None)
    if text.startswith(_UNSOLICITED):
        name, _, rest = text.partition(":")
        return Unsolicited(name.strip(), rest.strip())
    return Line(text)


def _fits(text: str, announced: str) -> bool:
    """Whether a line can be the PDU of a code that announced `[<alpha>],<length>`: hexadecimal and long enough."""
    length = announced.rpartition(",")[2].strip()
    if len(text) % 2 or text.strip("0123456789abcdefABCDEF"):
        return False
    return not _CODE.match(length) or len(text) >= 2 * int(length)
