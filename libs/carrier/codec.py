"""Whole PDUs to and from dictionaries: a header layout, a table of bodies, and the rules that hold for both.

A dictionary holds ``command`` (the standard's name of the PDU) and every field under the standard's own name. When
encoding, the lengths and the command id may be left out; what is given must be true.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from carrier.errors import CarrierError
from carrier.layout import Fields, Layout, Reader, UInt, integer, refuse_unknown


@dataclass(frozen=True)
class Pdu:
    """One command. ``bodies`` are the layouts it may have, by total length; one with key 0 fits the lengths not listed.

    ``may_lack_body``: a body that is absent altogether decodes to no fields, and no fields beside a status encode to
    no body.
    """

    name: str
    body: Layout
    by_total: Mapping[int, Layout] = field(default_factory=dict)
    may_lack_body: bool = False


@dataclass(frozen=True)
class Header:
    """Names of the header's fields. The first is the length (u32), the second the command (u32)."""

    length: str
    command: str
    rest: tuple[UInt, ...]
    status: str = ""

    @property
    def size(self) -> int:
        return 8 + sum(part.size for part in self.rest)


class Codec:
    """``decode`` one frame, ``encode`` one dictionary: inverse of each other on everything valid."""

    def __init__(self, header: Header, pdus: Mapping[int, Pdu], *, limit: int) -> None:
        self.header = header
        self.pdus = dict(pdus)
        self.limit = limit
        self.numbers = {pdu.name: number for number, pdu in self.pdus.items()}

    def decode(self, frame: bytes) -> Fields:
        """Fields of exactly one PDU. Raises ``CarrierError``."""
        header = self.header
        reader = Reader(frame)
        length = int.from_bytes(reader.take(4, header.length), "big")
        if not header.size <= length <= self.limit:
            raise CarrierError(f"{header.length}: {length} is not between {header.size} and {self.limit}", 0)
        if length < len(frame):
            raise CarrierError(f"{header.length} says {length}, {len(frame)} octets given", length)
        number = int.from_bytes(reader.take(4, header.command), "big")
        fields: Fields = {"command": "", header.length: length, header.command: number}
        for part in header.rest:
            part.read(reader, fields)
        pdu = self.pdus.get(number)
        if pdu is None:
            raise CarrierError(f"{header.command}: 0x{number:08x} is no known command", 4)
        fields["command"] = pdu.name
        if length > len(frame):
            raise CarrierError(f"{header.length} says {length}, only {len(frame)} octets given", len(frame))
        if reader.left or not pdu.may_lack_body:
            pdu.by_total.get(length, pdu.body).read(reader, fields)
        if reader.left:
            raise CarrierError(f"{reader.left} octets left over after {pdu.name}", reader.offset)
        return fields

    def encode(self, fields: Mapping[str, object]) -> bytes:
        """The PDU for ``fields``, strictly. Raises ``CarrierError`` with the offset reached."""
        given = dict(fields)
        number, pdu = self._command(given)
        declared = given.pop(self.header.length, None)
        out = bytearray(4) + number.to_bytes(4, "big")
        status = given.get(self.header.status, 0)
        for part in self.header.rest:
            part.write(out, given)
        if given or not pdu.may_lack_body or not (status or declared == self.header.size):
            layout = pdu.by_total.get(declared, pdu.body) if isinstance(declared, int) else pdu.body
            layout.write(out, given)
        refuse_unknown(given, len(out))
        if len(out) > self.limit:
            raise CarrierError(f"{pdu.name}: at most {self.limit} octets in all, {len(out)} given", self.limit)
        if declared is not None and declared != len(out):
            raise CarrierError(f"{self.header.length}: says {declared!r}, the PDU has {len(out)} octets", 0)
        out[:4] = integer(len(out), self.header.length, 0, 4)
        return bytes(out)

    def _command(self, given: Fields) -> tuple[int, Pdu]:
        name = given.pop("command", None)
        number = given.pop(self.header.command, None)
        if name is not None:
            found = self.numbers.get(name) if isinstance(name, str) else None
            if found is None:
                raise CarrierError(f"command: {name!r} is no known command", 4)
            if number is not None and number != found:
                raise CarrierError(f"{self.header.command}: {number!r} is not {name}", 4)
            number = found
        if not isinstance(number, int) or number not in self.pdus:
            raise CarrierError(f"{self.header.command}: {number!r} is no known command", 4)
        return number, self.pdus[number]
