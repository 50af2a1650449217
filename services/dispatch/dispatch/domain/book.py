"""The flights of this worker, and the carrier ids by which receipts find their segments.  Pure, and bounded.

An id stays until it is the oldest of too many: a receipt repeated shortly after is then recognised without asking the database.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

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
        self._order: deque[tuple[str, int, list[str]]] = deque()
        self._kept = 0
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

    def flight_of(self, token: int) -> Flight | None:
        """Return the flight of a token."""
        return self._flights.get(token >> TOKEN_BITS)

    def find(self, token: int) -> tuple[Flight, int] | None:
        """Return the flight and place of a token."""
        serial, place = place_of(token)
        flight = self._flights.get(serial)
        return None if flight is None else (flight, place)

    def remember(self, flight: Flight, answers: Sequence[tuple[int, int, str]]) -> list[str]:
        """Note the carrier's ids of segments, answered as (place, status, id), and return their canonical forms."""
        ids = self._ids.get(flight.link)
        if ids is None:
            ids = self._ids[flight.link] = {}
        serial = flight.serial
        base = serial << TOKEN_BITS
        forms = [canonical(carrier_id) for _, _, carrier_id in answers]
        for form, (place, _, _) in zip(forms, answers, strict=True):
            ids[form] = base | place
        self._order.append((flight.link, serial, forms))
        self._kept += len(forms)
        self._remembered[serial] = self._remembered.get(serial, 0) + len(forms)
        while self._kept > self._most:
            self._forget_oldest()
        return forms

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
        link, serial, forms = self._order.popleft()
        self._kept -= len(forms)
        ids = self._ids[link]
        for form in forms:
            token = ids.get(form)
            if token is not None and token >> TOKEN_BITS == serial:  # the carrier may have given the id again
                del ids[form]
        left = self._remembered[serial] - len(forms)
        if left > 0:
            self._remembered[serial] = left
            return
        del self._remembered[serial]
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
