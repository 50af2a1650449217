"""Several simulated modems in one process: each a device on a port, all on one network, controlled and counted together.

The only asyncio of the simulator beside `port`: a timer a modem.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import structlog

from sim.modem.device import Device, Identity
from sim.modem.faults import ModemFaults
from sim.modem.general import GENERAL
from sim.modem.messages import MESSAGES
from sim.modem.network import Network, Sample
from sim.modem.port import Port

log = structlog.get_logger()

COMMANDS = {**GENERAL, **MESSAGES}
PortOf = Callable[[Callable[[bytes], None]], Port]
"""From what takes the octets to the port that reads them."""


class Shown(msgspec.Struct, frozen=True):
    """A modem as `GET /modems` has it."""

    name: str
    address: str
    number: str
    imei: str
    plugged: bool
    running: bool
    waiting: int
    stored: dict[str, int]


class Unit:
    """One device on its port."""

    def __init__(self, device: Device, port_of: PortOf, clock: Callable[[], float]) -> None:
        self.device = device
        self.port = port_of(self._octets)
        self.plugged = False
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._away: asyncio.Task[None] | None = None
        self._next_pull = 0.0

    async def plug(self) -> None:
        """Plug it in; it starts as after power on."""
        if not self.plugged:
            await self.port.plug()
            self.plugged = True
            self.device.now = self._clock()
            self.device.power_cycle(0.0)
            self.touched()

    def unplug(self) -> None:
        """Pull it."""
        if self.plugged:
            self.plugged = False
            self.device.counts["disconnects"] += 1
            self.port.unplug()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def touched(self) -> None:
        """Something of the device may be due: look now."""
        now = self._clock()
        self.device.handle_timer(now)
        self._after(now)

    async def pull_for(self, seconds: float) -> None:
        """Pull it and plug it in again."""
        self.unplug()
        await asyncio.sleep(seconds)
        await self.plug()

    def check_pull(self, now: float) -> None:
        """Pull it when its fault says so."""
        pause = self.device.faults.unplug_every_s
        if not pause or (self._away is not None and not self._away.done()):
            self._next_pull = 0.0 if not pause else now + pause
            return
        if not self._next_pull:
            self._next_pull = now + pause
        elif now >= self._next_pull:
            self._away = asyncio.get_running_loop().create_task(self.pull_for(self.device.faults.unplug_ms / 1000))

    async def close(self) -> None:
        """Pull it for good."""
        if self._away is not None:
            self._away.cancel()
            await asyncio.gather(self._away, return_exceptions=True)
        self.unplug()

    def _octets(self, octets: bytes) -> None:
        now = self._clock()
        self.device.receive_data(octets, now)
        self._after(now)

    def _after(self, now: float) -> None:
        for piece in self.device.output.take(now):
            self.port.write(piece)
        due = self.device.next_due()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None and self.plugged:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due - now), self.touched)


class Pool:
    """All modems of one simulator."""

    def __init__(
        self,
        modems: Sequence[tuple[Identity, PortOf]],
        faults: ModemFaults,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.network = Network()
        self.clock = clock
        self.faults = faults
        self.since_ms = int(wall() * 1000)
        """Unix ms since which is counted."""
        ahead = wall() - clock()
        self._wall = wall
        self.units: dict[str, Unit] = {}
        for salt, (identity, port_of) in enumerate(modems):
            device = Device(identity, self.network, COMMANDS, faults, lambda now: now + ahead, salt)
            self.units[identity.name] = Unit(device, port_of, clock)

    async def start(self) -> None:
        """Plug all modems in; raises OSError when a port cannot be had."""
        for unit in self.units.values():
            await unit.plug()

    async def run(self) -> None:
        """Pull modems when their faults say so, until cancelled."""
        while True:
            await asyncio.sleep(0.05)
            for unit in self.units.values():
                unit.check_pull(self.clock())

    async def close(self) -> None:
        """Pull all modems."""
        for unit in self.units.values():
            await unit.close()

    def change(self, faults: ModemFaults, name: str = "") -> None:
        """Give all modems, or the named one, new faults."""
        if not name:
            self.faults = faults
        for unit in [self.units[name]] if name else self.units.values():
            unit.device.behaviour.change(faults)
            if unit.plugged:
                unit.touched()

    def say(self, name: str, sender: str, text: str, message_class: int | None = None) -> int:
        """Queue a message from a phone to a modem, split when long; returns its segments.

        Raises `GsmError` for a text no message can carry, ValueError when too many wait.
        """
        unit = self.units[name]
        incoming = self.network.message(sender, text, self._wall(), message_class)
        for part in incoming:
            if not unit.device.arrivals.put(part, self.clock()):
                raise ValueError("too many messages wait for this modem")
        if unit.plugged:
            unit.touched()
        return len(incoming)

    def modem_of(self, number: str) -> str | None:
        """Return the name of the modem with this name or card number."""
        digits = number.lstrip("+")
        return next(
            (name for name, unit in self.units.items() if number == name or unit.device.identity.number == digits), None
        )

    def shown(self) -> list[Shown]:
        """Return all modems."""
        return [
            Shown(
                name,
                unit.port.address,
                unit.device.identity.number,
                unit.device.identity.imei,
                unit.plugged,
                unit.plugged and unit.device.booting_until is None,
                unit.device.arrivals.waiting,
                {storage: len(place.messages) for storage, place in unit.device.storages.items()},
            )
            for name, unit in self.units.items()
        ]

    def statistics(self) -> dict[str, Any]:
        """Return what `GET /stats` answers."""
        document = self.network.stats.document(self.clock())
        plugged = sum(unit.plugged for unit in self.units.values())
        return {"since": self.since_ms, **document, "sessions": plugged, "sessions_max": len(self.units)}

    def samples(self, limit: int) -> list[Sample]:
        """Return the latest messages as phones show them, newest first."""
        return self.network.samples(limit)

    def reset(self) -> None:
        """Set the counters to zero and forget what the network owes; what is stored in modems stays."""
        self.network.stats.reset()
        self.since_ms = int(self._wall() * 1000)
        for unit in self.units.values():
            unit.device.arrivals.forget()
