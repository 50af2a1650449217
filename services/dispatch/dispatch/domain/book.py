"""The flights of this worker, and the carrier ids by which receipts find their segments.  Pure, and bounded.

An id stays until it is the oldest of too many: a receipt repeated shortly after is then recognised without asking the database.
"""

from __future__ import annotations

from collections import deque

from carrier.ids import IdMode, candidates, canonical
from dispatch.domain.work import TOKEN_BITS, Flight, place_of

DEFAULT_IDS = 300_000
"""Carrier ids kept: about 60 MB, 15 s at 20,000 messages/s; older ones are looked up in the journal."""


class Book:
    """Flights by serial, tokens by (link, canonical id)."""

    def __init__(self, most_ids: int = DEFAULT_IDS) -> None:
        self._most = most_ids
        self._flights: dict[int, Flight] = {}
        self._ids: dict[str, dict[str, int]] = {}
        self._order: deque[tuple[str, str]] = deque()
        self._remembered: dict[int, int] = {}
        self._serial = 0

    def __len__(self) -> int:
        return len(self._flights)

    def next_serial(self) -> int:
        """Return a fresh serial."""
        self._serial += 1
        return self._serial

    def add(self, flight: Flight) -> None:
        """Take a committed flight in."""
        self._flights[flight.serial] = flight

    def find(self, token: int) -> tuple[Flight, int] | None:
        """Return the flight and place of a token."""
        serial, place = place_of(token)
        flight = self._flights.get(serial)
        return None if flight is None else (flight, place)

    def remember(self, flight: Flight, place: int, carrier_id: str) -> str:
        """Note the carrier's id of a segment and return its canonical form."""
        form = canonical(carrier_id)
        ids = self._ids.get(flight.link)
        if ids is None:
            ids = self._ids[flight.link] = {}
        ids[form] = flight.serial << TOKEN_BITS | place
        self._order.append((flight.link, form))
        self._remembered[flight.serial] = self._remembered.get(flight.serial, 0) + 1
        if len(self._order) > self._most:
            self._forget_oldest()
        return form

    def match(self, link: str, raw_id: str, mode: IdMode, recipient: str) -> tuple[Flight, int] | None:
        """Return the segment a receipt's id names, if its answer was seen here lately.

        Only the likeliest notation is believed by itself; another one only when the receipt's recipient agrees, because
        a decimal 16 and a hexadecimal 10 are both ids of somebody.
        """
        ids = self._ids.get(link)
        if not ids:
            return None
        if mode is IdMode.AUTO or mode is IdMode.EXACT:
            token = ids.get(canonical(raw_id))
            if token is not None and (found := self.find(token)) is not None:
                return found
        for place, form in enumerate(candidates(raw_id, mode)):
            token = ids.get(form)
            if token is None:
                continue
            found = self.find(token)
            if found is not None and (place == 0 or same_number(found[0].recipients[found[1]], recipient)):
                return found
        return None

    def close(self, flight: Flight) -> None:
        """Let a flight go that is settled, unless ids of it are remembered."""
        if flight.serial not in self._remembered:
            self._flights.pop(flight.serial, None)

    def _forget_oldest(self) -> None:
        link, form = self._order.popleft()
        token = self._ids[link].get(form)
        if token is None:
            return
        serial, _ = place_of(token)
        del self._ids[link][form]
        left = self._remembered.get(serial, 0) - 1
        if left > 0:
            self._remembered[serial] = left
            return
        self._remembered.pop(serial, None)
        flight = self._flights.get(serial)
        if flight is not None and flight.open == 0:
            del self._flights[serial]


def same_number(number: int, text: str) -> bool:
    """Return whether a receipt's recipient is this number: it may be written with a plus, a zero or without the country code."""
    digits = text.lstrip("+0")
    return len(digits) >= NATIONAL_DIGITS and str(number).endswith(digits[-NATIONAL_DIGITS:])


def number_of(text: str) -> int:
    """Return a number as written on the wire as E.164, 0 when it is none (letters, short codes of words, too long: E.164 has 15)."""
    digits = text.strip().lstrip("+")
    if not digits.isdecimal() or len(digits) > MOST_DIGITS:
        return 0
    return int(digits if len(digits) != NATIONAL_DIGITS else f"86{digits}")


def storable(text: str) -> str:
    """Return the text as PostgreSQL can hold it: carriers and phones may send a NUL, a text column cannot."""
    return text.replace("\0", "\ufffd")


NATIONAL_DIGITS = 11
"""Digits of a mobile number within China."""

MOST_DIGITS = 15
"""Digits of the longest number (E.164, clause 6.1)."""
