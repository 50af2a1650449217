"""Message storages of a modem: numbered places that are filled, read and emptied (TS 27.005 clause 3.2.2).  Pure."""

from __future__ import annotations

from typing import Final

import msgspec

UNREAD, READ, UNSENT, SENT = range(4)
ALL: Final = 4
NAMES: Final = ("SM", "ME", "SR")
"""The card, the modem's own memory, status reports."""


class Stored(msgspec.Struct, gc=False):
    """One message: the service centre's octets and the TPDU's, as PDU mode shows them, and whether it was read."""

    centre: bytes
    tpdu: bytes
    state: int


class Storage:
    """One storage; indices begin with 1."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.messages: dict[int, Stored] = {}

    @property
    def full(self) -> bool:
        """Whether nothing more fits."""
        return len(self.messages) >= self.slots

    def put(self, message: Stored) -> int | None:
        """Store at the lowest free place; None when there is none."""
        if self.full:
            return None
        index = next(index for index in range(1, self.slots + 1) if index not in self.messages)
        self.messages[index] = message
        return index

    def of_state(self, state: int) -> list[tuple[int, Stored]]:
        """Messages in a state, or `ALL`, by index."""
        return [(index, found) for index, found in sorted(self.messages.items()) if state in (ALL, found.state)]

    def delete(self, index: int, flag: int) -> list[Stored] | None:
        """Delete one, or by +CMGD's flag all read (1), also sent (2), also unsent (3), all (4); None: no such place."""
        if flag == 0:
            if not 1 <= index <= self.slots:
                return None
            gone = self.messages.pop(index, None)
            return [] if gone is None else [gone]
        states = {1: (READ,), 2: (READ, SENT), 3: (READ, SENT, UNSENT), 4: (UNREAD, READ, UNSENT, SENT)}[flag]
        indices = [index for index, found in self.messages.items() if found.state in states]
        return [self.messages.pop(index) for index in indices]
