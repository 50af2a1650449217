"""One command at a time to a modem, and the answer that belongs to it; what commands mean is `modem`'s (TS 27.005).

Time is an argument and the next deadline a return value. Nothing a modem sends raises.
"""

from typing import Final

import msgspec

from gsm.at_lines import Line, LineReader, Prompt, Result, Unsolicited
from gsm.codes import cms_of

ESCAPE: Final = b"\x1b"
_CTRL_Z: Final = b"\x1a"
MOST_LINES: Final = 2048  # of one answer: a SIM stores some 50 messages, a handset 1,000, two lines each


class Command(msgspec.Struct, frozen=True):
    """A command without its carriage return; `payload` goes out after the prompt, `wait` is in seconds."""

    text: str
    wait: float = 10.0
    payload: bytes | None = None


class Answer(msgspec.Struct, frozen=True):
    """What came back. `timed_out` answers never came; `delivered` says that the payload went out.

    `code` is a +CMS ERROR's number, also where the modem gave the +CME ERROR that means the same.
    """

    command: Command
    ok: bool
    lines: tuple[str, ...] = ()
    code: int | None = None
    text: str = ""
    timed_out: bool = False
    delivered: bool = False


class Channel:
    """Half-duplex over one port: `idle`, or waiting for the answer of one command."""

    def __init__(self) -> None:
        self._reader = LineReader()
        self._out = bytearray()
        self._command: Command | None = None
        self._lines: list[str] = []
        self._deadline = 0.0
        self._delivered = False

    @property
    def idle(self) -> bool:
        """Whether a command can be sent."""
        return self._command is None

    @property
    def delivered(self) -> bool:
        """Whether the payload of the latest command has gone out."""
        return self._delivered

    def send(self, command: Command, now: float) -> None:
        """Begin a command; only when `idle`."""
        self._command = command
        self._lines = []
        self._delivered = False
        self._deadline = now + command.wait
        self._out += command.text.encode("ascii") + b"\r"

    def write(self, data: bytes) -> None:
        """Octets outside any command."""
        self._out += data

    def bytes_to_send(self) -> bytes:
        """What to write to the port now; each octet is given once."""
        out = bytes(self._out)
        self._out.clear()
        return out

    def receive(self, data: bytes, now: float) -> list[Answer | Unsolicited]:
        """Answers and unsolicited codes that `data` completes, in order."""
        out: list[Answer | Unsolicited] = []
        for item in self._reader.receive(data):
            if isinstance(item, Unsolicited):
                out.append(item)
            elif self._command is None:
                if isinstance(item, Line):  # a code this package does not know, or the rest of a late answer
                    name, _, rest = item.text.partition(":")
                    out.append(Unsolicited(name.strip(), rest.strip()))
            elif isinstance(item, Prompt):
                self._deliver(self._command, now)
            elif isinstance(item, Line):
                if item.text != self._command.text and len(self._lines) < MOST_LINES:
                    self._lines.append(item.text)
            else:
                out.append(self._finish(self._command, item))
        return out

    def next_deadline(self) -> float | None:
        """When the answer is overdue; None when idle."""
        return None if self._command is None else self._deadline

    def handle_timer(self, now: float) -> Answer | None:
        """The answer that did not come, once its deadline has passed.

        A command with a payload is aborted by an escape: a modem that hangs at the prompt would take the next command
        for part of the message.
        """
        command = self._command
        if command is None or now < self._deadline:
            return None
        if command.payload is not None:
            self._out += ESCAPE
        self._command = None
        return Answer(command, False, tuple(self._lines), timed_out=True, delivered=self._delivered)

    def _deliver(self, command: Command, now: float) -> None:
        if command.payload is not None and not self._delivered:
            self._delivered = True
            self._deadline = now + command.wait
            self._out += command.payload + _CTRL_Z

    def _finish(self, command: Command, result: Result) -> Answer:
        self._command = None
        return Answer(
            command,
            result.ok,
            tuple(self._lines),
            cms_of(result.kind, result.code),
            result.text,
            delivered=self._delivered,
        )
