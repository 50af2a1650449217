"""The card in a modem: present or not, locked or not, with its number (TS 27.007 clause 8.3).  Pure."""

from __future__ import annotations

from typing import Literal

from sim.modem.calls import Refused
from sim.modem.faults import Card

_WRONG_AT_MOST = 3

NEEDS: dict[str, tuple[int, int]] = {"pin": (311, 11), "puk": (316, 12), "missing": (310, 10), "failure": (313, 13)}
"""State to +CMS and +CME error numbers (TS 27.005 clause 3.2.5, TS 27.007 clause 9.2)."""


class SimCard:
    """Locks and unlocks; what state it was put into is a fault's affair, what came of it is remembered here."""

    def __init__(self, pin: str) -> None:
        self._pin = pin
        self._unlocked = False
        self._wrong = 0

    def state(self, put: Card) -> Card:
        """Return the state as commands meet it."""
        if put == "pin" and self._wrong >= _WRONG_AT_MOST:
            return "puk"
        return "ready" if put == "pin" and self._unlocked else put

    def demand(self, put: Card, kind: Literal["CMS", "CME"]) -> None:
        """Raise `Refused` unless the card can be used."""
        state = self.state(put)
        if state != "ready":
            raise Refused(kind, NEEDS[state][0 if kind == "CMS" else 1])

    def enter(self, pin: str, put: Card) -> None:
        """Try a PIN; raises `Refused` when it is wrong, or none is asked for."""
        if self.state(put) != "pin":
            self.demand(put, "CME")
            raise Refused("CME", 3)  # operation not allowed
        if pin != self._pin:
            self._wrong += 1
            raise Refused("CME", 16)  # incorrect password
        self._unlocked = True
        self._wrong = 0

    def power_off(self) -> None:
        """The modem starts anew: a PIN is asked for again, wrong tries stay counted."""
        self._unlocked = False
