"""How what the network has for a modem finds its way to the computer: handed over, stored, or kept (TS 27.005 clause 3.4).

Pure.  Nothing is lost on this way: what the modem cannot take, or nobody confirmed, the network brings again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from sim.carrier.schedule import Schedule
from sim.modem import storage, textmode
from sim.modem.network import Incoming
from sim.modem.storage import Stored

if TYPE_CHECKING:
    from sim.modem.device import Device

MOST_INCOMING = 20_000
"""PDUs waiting in the network for one modem."""


class Arrivals:
    """The incoming side of one modem."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._incoming: Schedule[Incoming] = Schedule()
        self._unconfirmed: Incoming | None = None
        self._confirm_by = 0.0

    @property
    def waiting(self) -> int:
        """PDUs the network has for the modem."""
        return len(self._incoming) + (self._unconfirmed is not None)

    def put(self, incoming: Incoming, due: float) -> bool:
        """Take a PDU from the network; False when too many wait."""
        if len(self._incoming) >= MOST_INCOMING:
            return False
        self._incoming.put(due, incoming)
        return True

    def forget(self) -> None:
        """Forget what the network has for the modem."""
        self._incoming.clear()
        self._unconfirmed = None

    def next_due(self) -> float | None:
        """Return when there is something to bring, or a confirmation is overdue."""
        if self._unconfirmed is not None:
            return self._confirm_by
        return self._incoming.next_due() if self._device.reachable else None

    def bring(self) -> None:
        """Bring what is due, as far as the modem takes it."""
        if self._unconfirmed is not None and self._device.now >= self._confirm_by:
            self._not_confirmed()
        while self._unconfirmed is None and self._device.reachable:
            due = self._incoming.due(self._device.now, 1)
            if not due:
                return
            self._route(due[0])

    def confirm(self, *, positive: bool) -> bool:
        """The computer confirms (or refuses) what was handed over; False when nothing was."""
        incoming, self._unconfirmed = self._unconfirmed, None
        if incoming is None:
            return False
        if positive:
            self._device.counts["receipts_answered" if incoming.report else "mo_answered"] += 1
        else:
            self._take_back(incoming)
        return True

    def power_cycle(self) -> None:
        """What was not confirmed was not received."""
        incoming, self._unconfirmed = self._unconfirmed, None
        if incoming is not None:
            self._take_back(incoming)

    def deleted(self, gone: Sequence[Stored]) -> None:
        """Count stored messages that the computer is done with."""
        for message in gone:
            if message.state in {storage.UNREAD, storage.READ}:
                report = message.tpdu[0] & 3 == 2
                self._device.counts["receipts_answered" if report else "mo_answered"] += 1

    def _route(self, incoming: Incoming) -> None:
        notify = self._device.settings.notify
        if not incoming.report:
            how = _message_route(incoming, notify.messages)
            if how == 2:
                self._forward(incoming, "+CMT")
            else:
                self._store(incoming, self._device.settings.storages[2], "+CMTI" if how else "")
        elif notify.reports == 1:
            self._forward(incoming, "+CDS")
        elif notify.reports == 2:
            self._store(incoming, "SR", "+CDSI")
        elif self._device.faults.discard_unrouted:
            self._device.counts["receipts_waiting"] -= 1
            self._device.counts["receipts_unrouted"] += 1
        else:
            self._again(incoming)

    def _forward(self, incoming: Incoming, code: str) -> None:
        device = self._device
        self._count_sent(incoming)
        if device.settings.text_mode:
            device.say_of_message(textmode.code(code, incoming.tpdu, device.settings.alphabet))
        else:
            centre = b"" if device.faults.omit_centre else incoming.centre
            head = f"{code}: {len(incoming.tpdu)}" if incoming.report else f"{code}: ,{len(incoming.tpdu)}"
            device.say_of_message([head, (centre + incoming.tpdu).hex().upper()])
        if device.settings.service:
            self._unconfirmed = incoming
            self._confirm_by = device.now + device.faults.ack_ms / 1000
        else:
            device.counts["receipts_answered" if incoming.report else "mo_answered"] += 1

    def _store(self, incoming: Incoming, name: str, code: str) -> None:
        device = self._device
        place = device.storages[name]
        place.slots = device.faults.slots
        index = place.put(Stored(incoming.centre, incoming.tpdu, storage.UNREAD))
        if index is None:
            device.counts["storage_full"] += 1
            self._again(incoming)
            return
        self._count_sent(incoming)
        device.counts["stored"] += 1
        if code:
            device.say_of_message([f'{code}: "{name}",{index}'])

    def _again(self, incoming: Incoming) -> None:
        self._incoming.put(self._device.now + self._device.faults.retry_ms / 1000, incoming)

    def _count_sent(self, incoming: Incoming) -> None:
        if incoming.report:
            self._device.counts["receipts_waiting"] -= 1
        self._device.counts["receipts_sent" if incoming.report else "mo_sent"] += 1

    def _take_back(self, incoming: Incoming) -> None:
        if incoming.report:
            self._device.counts["receipts_waiting"] += 1
        self._again(incoming)

    def _not_confirmed(self) -> None:
        """Too late: the modem ceases to forward until told again (TS 27.005 clause 3.4.4)."""
        incoming, self._unconfirmed = self._unconfirmed, None
        assert incoming is not None  # the caller looked
        device = self._device
        device.counts["not_confirmed"] += 1
        device.settings.notify = msgspec.structs.replace(device.settings.notify, messages=0, reports=0)
        self._take_back(incoming)


def _message_route(incoming: Incoming, messages: int) -> int:
    """What +CNMI's second figure means for a message: 0 stored, 1 stored and announced, 2 handed over."""
    if messages == 3:
        return 2 if incoming.message_class == 3 else 1
    return 1 if messages == 2 and incoming.message_class == 2 else messages
