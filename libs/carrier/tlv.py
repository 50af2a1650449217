"""Optional parameters: tag, length, value after the mandatory fields, in the two protocols that have them.

A known tag appears under its own name, an unknown one as ``0x1401``; a repeated one is a list. The order between
different tags is the dictionary's order. A value whose form its type cannot show (an integer of unusual length, a
string with its NUL missing) appears as ``hex:...``, so that encoding gives the same octets back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Any, Literal

from carrier.errors import CarrierError
from carrier.layout import Field, Fields, Reader, hexadecimal, integer, text

Kind = Literal["int", "text", "cstr", "raw"]
_AS_IS = "hex:"


@dataclass(frozen=True)
class Tag:
    """One optional parameter: nominal lengths hold when encoding and are not insisted on when decoding."""

    number: int
    name: str
    kind: Kind
    least: int
    most: int


class Tlvs(Field):
    """Everything up to the end of the frame; the last field of its layout."""

    def __init__(self, tags: tuple[Tag, ...]) -> None:
        super().__init__("optional parameters")
        self.by_number = {tag.number: tag for tag in tags}
        self.by_name = {tag.name: tag for tag in tags}

    def read(self, reader: Reader, out: Fields) -> None:
        while reader.left:
            if reader.left < 4:
                raise CarrierError(f"{reader.left} stray octets after the last optional parameter", reader.offset)
            number = int.from_bytes(reader.take(2, "tag"), "big")
            length = int.from_bytes(reader.take(2, "length"), "big")
            tag = self.by_number.get(number)
            name = tag.name if tag else f"0x{number:04x}"
            octets = reader.take(length, name)
            value: Any = _readable(tag, octets) if tag else octets.hex()
            if name not in out:
                out[name] = value
            elif isinstance(out[name], list):
                out[name].append(value)
            else:
                out[name] = [out[name], value]

    def write(self, out: bytearray, given: Fields) -> None:
        for name in list(given):
            tag = self.by_name.get(name) or self._unknown(name, len(out))
            value = given.pop(name)
            for one in value if isinstance(value, list) else [value]:
                octets = _octets(tag, one, len(out) + 4)
                out += tag.number.to_bytes(2, "big") + len(octets).to_bytes(2, "big") + octets

    def _unknown(self, name: str, offset: int) -> Tag:
        if len(name) == 6 and name.startswith("0x"):
            try:
                number = int(name, 16)
            except ValueError:
                number = -1
            if number >= 0 and number not in self.by_number:
                return Tag(number, name, "raw", 0, 0xFFFF)
        raise CarrierError(f"unknown field {name!r}", offset)


def _readable(tag: Tag, octets: bytes) -> int | str:
    nominal = tag.least <= len(octets) <= tag.most
    if tag.kind == "raw":
        return octets.hex() if nominal else _AS_IS + octets.hex()
    if tag.kind == "int":
        return int.from_bytes(octets, "big") if nominal else _AS_IS + octets.hex()
    body = octets[:-1] if tag.kind == "cstr" else octets
    terminated = tag.kind == "text" or octets.endswith(b"\0")
    if not nominal or not terminated or b"\0" in body or body.startswith(_AS_IS.encode()):
        return _AS_IS + octets.hex()
    return body.decode("latin-1")


def _octets(tag: Tag, value: object, offset: int) -> bytes:
    if isinstance(value, str) and value.startswith(_AS_IS):
        octets = hexadecimal(value[len(_AS_IS) :], tag.name, offset)
        if len(octets) > 0xFFFF:
            raise CarrierError(f"{tag.name}: at most 65535 octets", offset)
        return octets
    if tag.kind == "int":
        return integer(value, tag.name, offset, tag.least)
    if tag.kind == "raw":
        octets = hexadecimal(value, tag.name, offset)
    else:
        octets = text(value, tag.name, offset, tag.most) + (b"\0" if tag.kind == "cstr" else b"")
    if not tag.least <= len(octets) <= tag.most:
        raise CarrierError(f"{tag.name}: {tag.least} to {tag.most} octets needed, {len(octets)} given", offset)
    return octets


_TAG_LENGTH = Struct(">HH")


def scan(frame: bytes, offset: int) -> Mapping[int, bytes]:
    """The fast path: tag number to its last value, up to the end of ``frame``; one pass, no names."""
    found: dict[int, bytes] = {}
    end = len(frame)
    while offset < end:
        start = offset + 4
        if start > end:
            raise CarrierError(f"{end - offset} stray octets after the last optional parameter", offset)
        tag, length = _TAG_LENGTH.unpack_from(frame, offset)
        offset = start + length
        if offset > end:
            raise CarrierError("optional parameter runs past the end of the PDU", start - 4)
        found[tag] = frame[start:offset]
    return found
