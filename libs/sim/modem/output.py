"""What a modem writes: lines in their frames, at the line's speed, with the faults of the wire.  Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from sim.modem.behaviour import Behaviour

_MOST_WAITING = 1_000_000
"""Octets not yet written: a thousand stored messages listed at once, and a computer that does not read them."""

_NOISE = b"\r\n\xff\x00\x13~#@\x7f\r\n"


class HeldCode(msgspec.Struct, frozen=True):
    """An unsolicited code that lands in an answer: between its lines, or inside one."""

    lines: Sequence[str]
    torn: bool


class Output:
    """Octets with the time at which they may leave."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._pieces: deque[tuple[float, bytes]] = deque()
        self._size = 0
        self._free_at = 0.0
        self.lost = 0
        """Octets dropped because nobody took them."""

    def raw(self, octets: bytes, now: float) -> None:
        """Write octets as they are: an echo, a prompt."""
        faults = self._behaviour.faults
        step = faults.fragment_octets or len(octets) or 1
        for start in range(0, len(octets), step):
            piece = octets[start : start + step]
            if self._size + len(piece) > _MOST_WAITING:
                self.lost += len(piece)
                continue
            due = max(now, self._free_at)
            if faults.octets_per_s:
                self._free_at = due = due + len(piece) / faults.octets_per_s
            self._pieces.append((due, piece))
            self._size += len(piece)

    def lines(self, lines: Sequence[str], now: float) -> None:
        """Write lines that belong together: an unsolicited code with its PDU."""
        self.raw(framed(lines), now)

    def answer(self, lines: Sequence[str], codes: Sequence[HeldCode], now: float) -> bool:
        """Write an answer, and in it the codes that came meanwhile: between its lines, or inside one.

        Returns whether noise went before it.
        """
        behaviour = self._behaviour
        noisy = behaviour.hits(behaviour.faults.garbage)
        # Only the first line of what a command tells, and the result, begin with a line end: a PDU stands right below its head.
        starts = {0, len(lines) - 1}
        pieces = [(b"\r\n" if at in starts else b"") + ended(line) for at, line in enumerate(lines)]
        for code in codes:
            at = behaviour.place(len(pieces))
            if code.torn:
                inside = 1 + behaviour.place(max(1, len(pieces[at]) - 1))
                pieces[at : at + 1] = [pieces[at][:inside] + framed(code.lines) + pieces[at][inside:]]
            else:
                pieces.insert(at, framed(code.lines))
        self.raw((_NOISE if noisy else b"") + b"".join(pieces), now)
        return noisy

    def take(self, now: float) -> list[bytes]:
        """Return the pieces to write now, each in a write of its own."""
        taken: list[bytes] = []
        while self._pieces and self._pieces[0][0] <= now:
            taken.append(self._pieces.popleft()[1])
            self._size -= len(taken[-1])
        return taken

    def next_due(self) -> float | None:
        """Return when there is something to write."""
        return self._pieces[0][0] if self._pieces else None

    def clear(self) -> None:
        """Forget what was not written."""
        self._pieces.clear()
        self._size = 0
        self._free_at = 0.0


def framed(lines: Sequence[str]) -> bytes:
    """Return lines as modems frame them: the first between line ends, the rest each with one behind it."""
    return b"\r\n" + b"".join(map(ended, lines))


def ended(line: str) -> bytes:
    """Return a line with its end."""
    return line.encode("latin-1", "replace") + b"\r\n"
