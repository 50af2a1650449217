"""For tests: a simulated modem and, if wanted, our session, joined by a wire in a time of their own: no port, no sleep."""

from __future__ import annotations

from typing import Any

from gsm import Config, Frame, Modem, address_of, decode_frame, submits
from gsm.modem_events import Event, Ready, Received
from sim.modem.__main__ import identities
from sim.modem.device import Device
from sim.modem.faults import ModemFaults
from sim.modem.network import Network
from sim.modem.pool import COMMANDS

WALL = 1_900_000_000.0


def device_of(**faults: Any) -> Device:
    """Return a modem of its own network, running since 0.0."""
    (identity,) = identities(1, "8613900000001", "1234")
    settings = ModemFaults(**{"report_delay_ms": 10, **faults})
    return Device(identity, Network(), COMMANDS, settings, lambda now: WALL + now)


class Desk:
    """A person at a terminal: types, reads."""

    def __init__(self, **faults: Any) -> None:
        self.device = device_of(**faults)
        self.now = 0.0

    def type(self, text: str | bytes) -> str:
        """Type, and return what the modem says at once."""
        self.device.receive_data(text.encode("latin-1") if isinstance(text, str) else text, self.now)
        return self.read()

    def ask(self, command: str) -> str:
        """Give a command and return the answer without its frame, the echo cut off."""
        return self.type(command + "\r").replace(command + "\r", "", 1).strip().replace("\r\n\r\n", "\r\n")

    def read(self) -> str:
        return b"".join(self.device.output.take(self.now)).decode("latin-1")

    def wait(self, seconds: float) -> str:
        """Let time pass, deadline by deadline, and return what the modem said."""
        end, said = self.now + seconds, ""
        while (due := self.device.next_due()) is not None and due <= end:
            self.now = max(self.now, due)
            self.device.handle_timer(self.now)
            said += self.read()
        self.now = end
        return said

    def faults(self, **changed: Any) -> None:
        self.device.behaviour.change(ModemFaults(**{"report_delay_ms": 10, **changed}))
        self.device.handle_timer(self.now)


class Wire(Desk):
    """The modem with our session on it."""

    def __init__(self, config: Config | None = None, **faults: Any) -> None:
        super().__init__(**faults)
        self.modem = Modem(config or Config())
        self.events: list[Event] = []
        self.acknowledges = True

    def start(self) -> Wire:
        """Set up; returns when ready."""
        self.modem.start(self.now)
        self.run(lambda: bool(self.all(Ready)))
        return self

    def run(self, until: Any = None, seconds: float = 600.0) -> None:
        """Let octets and time go until the condition holds, or nothing happens for so long."""
        end = self.now + seconds
        while until is None or not until():
            self._turn()
            if until is not None and until():
                return
            times = [due for due in (self.device.next_due(), self.modem.next_deadline()) if due is not None]
            due = min(times, default=end + 1)
            if due > end:
                self.now = end
                assert until is None, "it did not happen"
                return
            self.now = max(self.now, due)
            self.device.handle_timer(self.now)
            deadline = self.modem.next_deadline()
            if deadline is not None and deadline <= self.now:
                self._take(self.modem.handle_timer(self.now))

    def send(self, token: int = 1, text: str = "hello", recipient: str = "+8613800138000", **options: Any) -> None:
        (submit,) = submits(text, address_of(recipient))
        self.modem.send(token, Frame(submit), self.now)

    def say(self, text: str, sender: str = "+8613700000001", message_class: int | None = None) -> None:
        for part in self.device.network.message(sender, text, WALL, message_class):
            assert self.device.arrivals.put(part, self.now)

    def all(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def pdus(self) -> list[Any]:
        return [decode_frame(event.octets, to_phone=True, length=event.length).pdu for event in self.all(Received)]

    @property
    def counts(self) -> Any:
        return self.device.counts

    def _turn(self) -> None:
        """Carry octets until both are silent."""
        while True:
            spoken = self.modem.bytes_to_send()
            if spoken:
                self.device.receive_data(spoken, self.now)
            heard = self.device.output.take(self.now)
            for piece in heard:
                self._take(self.modem.receive_data(piece, self.now))
            if not spoken and not heard:
                return

    def _take(self, events: list[Event]) -> None:
        self.events += events
        for event in events:
            if isinstance(event, Received) and self.acknowledges:
                self.modem.acknowledge(event.handle, self.now)
