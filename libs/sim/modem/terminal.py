"""What a computer writes to a modem, cut into command lines and message bodies (ITU-T V.250 clause 5.2, TS 27.005).

Pure.  Which of the two comes is the modem's to say (`prompting`); what comes while it is busy waits here, bounded.
"""

from __future__ import annotations

from typing import Final

import msgspec

MOST_WAITING: Final = 4096
"""Octets: some ten commands, or two PDUs.  A computer that writes on without reading answers loses the rest."""
_MOST_LINE: Final = 2048
_CR, _ESCAPE, _CTRL_Z, _BACKSPACE = 0x0D, 0x1B, 0x1A, 0x08


class CommandLine(msgspec.Struct, frozen=True):
    """A line that begins with AT, that left out."""

    text: str


class Body(msgspec.Struct, frozen=True):
    """What was written to the prompt, ended by Ctrl-Z."""

    octets: bytes


class Aborted(msgspec.Struct, frozen=True):
    """What was written to the prompt was ended by an escape."""


Input = CommandLine | Body | Aborted


class Terminal:
    """One port's input."""

    def __init__(self) -> None:
        self.prompting = False
        self.overrun = 0
        """Octets lost because too many waited."""
        self._waiting = bytearray()
        self._line = bytearray()

    def write(self, octets: bytes) -> None:
        """Take what the computer wrote."""
        room = MOST_WAITING - len(self._waiting)
        self.overrun += max(0, len(octets) - room)
        self._waiting += octets[: max(0, room)]

    def next(self) -> tuple[Input | None, bytes]:
        """(the next whole input or None, the octets read for it as an echo has them)."""
        for at, octet in enumerate(self._waiting):
            found = self._body(octet) if self.prompting else self._command(octet)
            if found is not None:
                echo = bytes(self._waiting[: at + 1])
                del self._waiting[: at + 1]
                return found, echo
        echo = bytes(self._waiting)
        self._waiting.clear()
        return None, echo

    def clear(self) -> None:
        """Forget everything that was written and not read."""
        self._waiting.clear()
        self._line.clear()
        self.prompting = False

    def _command(self, octet: int) -> Input | None:
        if octet == _BACKSPACE:
            del self._line[-1:]
        elif octet == _CR:
            text = self._line.decode("latin-1").strip()
            self._line.clear()
            if text[:2].upper() == "AT":
                return CommandLine(text[2:].strip())
        elif octet not in (_ESCAPE, _CTRL_Z, 0x0A) and len(self._line) < _MOST_LINE:
            self._line.append(octet)
        return None

    def _body(self, octet: int) -> Input | None:
        if octet == _ESCAPE:
            self._line.clear()
            return Aborted()
        if octet == _CTRL_Z:
            body = Body(bytes(self._line))
            self._line.clear()
            return body
        if len(self._line) < _MOST_LINE:
            self._line.append(octet)
        return None
