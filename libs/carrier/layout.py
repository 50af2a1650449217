"""Declared PDU layouts: a list of fields that decodes octets to a dictionary and encodes it back.

This is the exact path (command line, rare PDUs, tests, a second opinion on the fast paths). Decoding is lenient in
content and strict in lengths; encoding is strict in everything. Values are what JSON has: integers, strings, lists;
raw octets are lower case hexadecimal. Whatever is wrong is a ``CarrierError`` with the octet offset.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from carrier.errors import CarrierError

Fields = dict[str, Any]


class Reader:
    """A cursor over one frame that never runs past ``end``."""

    def __init__(self, data: bytes, offset: int = 0, end: int | None = None) -> None:
        self.data = data
        self.offset = offset
        self.end = len(data) if end is None else end

    @property
    def left(self) -> int:
        return self.end - self.offset

    def take(self, count: int, name: str) -> bytes:
        if count > self.left:
            raise CarrierError(f"{name}: {count} octets expected, {self.left} left", self.offset)
        taken = self.data[self.offset : self.offset + count]
        self.offset += count
        return taken

    def take_until_nul(self, name: str) -> bytes:
        stop = self.data.find(b"\0", self.offset, self.end)
        if stop < 0:
            raise CarrierError(f"{name}: no terminating NUL", self.offset)
        taken = self.data[self.offset : stop]
        self.offset = stop + 1
        return taken


class Field(ABC):
    """One named place of a layout. ``write`` pops what it understands from ``given``; what is left over is an error."""

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def read(self, reader: Reader, out: Fields) -> None: ...

    @abstractmethod
    def write(self, out: bytearray, given: Fields) -> None: ...


class UInt(Field):
    """Unsigned big-endian integer of ``size`` octets; absent means 0. ``signed`` for the one protocol field that has
    a -1.
    """

    def __init__(self, name: str, size: int, *, default: int = 0, signed: bool = False) -> None:
        super().__init__(name)
        self.size = size
        self.default = default
        self.signed = signed

    def read(self, reader: Reader, out: Fields) -> None:
        out[self.name] = int.from_bytes(reader.take(self.size, self.name), "big", signed=self.signed)

    def write(self, out: bytearray, given: Fields) -> None:
        out += integer(given.pop(self.name, self.default), self.name, len(out), self.size, signed=self.signed)


class Text(Field):
    """``str[n]``: left-aligned, NUL padded, cut at the first NUL; may fill its field."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(name)
        self.size = size

    def read(self, reader: Reader, out: Fields) -> None:
        out[self.name] = reader.take(self.size, self.name).split(b"\0", 1)[0].decode("latin-1")

    def write(self, out: bytearray, given: Fields) -> None:
        octets = text(given.pop(self.name, ""), self.name, len(out), self.size)
        out += octets.ljust(self.size, b"\0")


class Raw(Field):
    """``raw[n]``: octets as they are, hexadecimal in the dictionary; absent means zeros."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(name)
        self.size = size

    def read(self, reader: Reader, out: Fields) -> None:
        out[self.name] = reader.take(self.size, self.name).hex()

    def write(self, out: bytearray, given: Fields) -> None:
        octets = hexadecimal(given.pop(self.name, "00" * self.size), self.name, len(out))
        if len(octets) != self.size:
            raise CarrierError(f"{self.name}: {self.size} octets needed, {len(octets)} given", len(out))
        out += octets


LONGEST_READ = 256
"""Octets of a C-octet string that are still read: peers exceed the standard's limits, but not by this much."""


class CStr(Field):
    """NUL-terminated string of at most ``limit`` octets, terminator included; up to ``LONGEST_READ`` are read."""

    def __init__(self, name: str, limit: int, *, lengths: tuple[int, ...] = ()) -> None:
        super().__init__(name)
        self.limit = limit
        self.lengths = lengths

    def read(self, reader: Reader, out: Fields) -> None:
        at = reader.offset
        octets = reader.take_until_nul(self.name)
        if len(octets) > LONGEST_READ:
            raise CarrierError(f"{self.name}: {len(octets)} octets are longer than any peer writes", at)
        out[self.name] = octets.decode("latin-1")

    def write(self, out: bytearray, given: Fields) -> None:
        octets = text(given.pop(self.name, ""), self.name, len(out), self.limit - 1)
        if self.lengths and len(octets) not in self.lengths:
            raise CarrierError(f"{self.name}: must have {' or '.join(map(str, self.lengths))} characters", len(out))
        out += octets
        out += b"\0"


class Counted(Field):
    """A length field followed by that many raw octets; the length may be left out of the dictionary."""

    def __init__(self, length_name: str, name: str, *, size: int = 1, limit: int = 255) -> None:
        super().__init__(name)
        self.length_name = length_name
        self.size = size
        self.limit = limit

    def read(self, reader: Reader, out: Fields) -> None:
        length = int.from_bytes(reader.take(self.size, self.length_name), "big")
        out[self.length_name] = length
        out[self.name] = reader.take(length, self.name).hex()

    def write(self, out: bytearray, given: Fields) -> None:
        octets = hexadecimal(given.pop(self.name, ""), self.name, len(out) + self.size)
        if len(octets) > self.limit:
            raise CarrierError(f"{self.name}: at most {self.limit} octets, {len(octets)} given", len(out) + self.size)
        declared = given.pop(self.length_name, len(octets))
        if declared != len(octets):
            raise CarrierError(f"{self.length_name}: says {declared!r}, content has {len(octets)} octets", len(out))
        out += len(octets).to_bytes(self.size, "big")
        out += octets


class Repeated(Field):
    """A count octet followed by that many groups. A group of one field is a list of its values, else (or by
    ``objects``) a list of objects.
    """

    def __init__(
        self,
        count_name: str,
        name: str,
        group: Sequence[Field],
        *,
        least: int = 0,
        most: int = 255,
        objects: bool = False,
    ) -> None:
        super().__init__(name)
        self.plain = len(group) == 1 and not objects
        self.count_name = count_name
        self.group = tuple(group)
        self.least = least
        self.most = most

    def read(self, reader: Reader, out: Fields) -> None:
        (count,) = reader.take(1, self.count_name)
        out[self.count_name] = count
        items: list[Any] = []
        for _ in range(count):
            item: Fields = {}
            for field in self.group:
                field.read(reader, item)
            items.append(item[self.group[0].name] if self.plain else item)
        out[self.name] = items

    def write(self, out: bytearray, given: Fields) -> None:
        items = given.pop(self.name, [])
        if not isinstance(items, list | tuple) or not self.least <= len(items) <= self.most:
            raise CarrierError(f"{self.name}: a list of {self.least} to {self.most} needed", len(out))
        declared = given.pop(self.count_name, len(items))
        if declared != len(items):
            raise CarrierError(f"{self.count_name}: says {declared!r}, the list has {len(items)}", len(out))
        out.append(len(items))
        for item in items:
            self._write_item(out, {self.group[0].name: item} if self.plain else item)

    def _write_item(self, out: bytearray, item: object) -> None:
        if not isinstance(item, Mapping):
            raise CarrierError(f"{self.name}: each entry must be an object", len(out))
        left = dict(item)
        for field in self.group:
            field.write(out, left)
        refuse_unknown(left, len(out))


class Choice(Field):
    """An octet that selects which fields follow it (SMPP dest_flag)."""

    def __init__(self, name: str, cases: Mapping[int, Sequence[Field]]) -> None:
        super().__init__(name)
        self.cases = {value: tuple(fields) for value, fields in cases.items()}

    def read(self, reader: Reader, out: Fields) -> None:
        at = reader.offset
        (value,) = reader.take(1, self.name)
        if value not in self.cases:
            raise CarrierError(f"{self.name}: {value} is not one of {sorted(self.cases)}", at)
        out[self.name] = value
        for field in self.cases[value]:
            field.read(reader, out)

    def write(self, out: bytearray, given: Fields) -> None:
        value = given.pop(self.name, None)
        if not isinstance(value, int) or value not in self.cases:
            raise CarrierError(f"{self.name}: {value!r} is not one of {sorted(self.cases)}", len(out))
        out.append(value)
        for field in self.cases[value]:
            field.write(out, given)


class Literal(Field):
    """Octets that are always the same and have no name."""

    def __init__(self, octets: bytes) -> None:
        super().__init__(octets.decode("latin-1"))
        self.octets = octets

    def read(self, reader: Reader, out: Fields) -> None:
        at = reader.offset
        if reader.take(len(self.octets), self.name) != self.octets:
            raise CarrierError(f"{self.name!r} expected", at)

    def write(self, out: bytearray, given: Fields) -> None:
        out += self.octets


class Structured(Counted):
    """Content that is a structure of its own (a delivery report) where the field ``flag`` has the value ``marked``.

    It decodes to an object when one of ``shapes`` (by length) gives its octets back exactly, else to hexadecimal as any
    content; either is encoded. The first shape is the one written when no length is given.
    """

    def __init__(self, length_name: str, name: str, flag: str, marked: int, shapes: Mapping[int, Layout]) -> None:
        super().__init__(length_name, name)
        self.flag = flag
        self.marked = marked
        self.shapes = dict(shapes)

    def read(self, reader: Reader, out: Fields) -> None:
        super().read(reader, out)
        shape = self.shapes.get(out[self.length_name])
        if shape is None or out.get(self.flag) != self.marked:
            return
        octets, inner = bytes.fromhex(out[self.name]), Fields()
        try:
            shape.read(Reader(octets), inner)
        except CarrierError:
            return  # another variant: it stays as it is
        again = bytearray()
        shape.write(again, dict(inner))
        if again == octets:
            out[self.name] = inner

    def write(self, out: bytearray, given: Fields) -> None:
        value = given.get(self.name)
        if isinstance(value, Mapping):
            shape = self.shapes.get(given.get(self.length_name, 0), next(iter(self.shapes.values())))
            octets, left = bytearray(), dict(value)
            shape.write(octets, left)
            refuse_unknown(left, len(out))
            given[self.name] = octets.hex()
        super().write(out, given)


class Layout:
    """The body of one PDU: its fields in order."""

    def __init__(self, *fields: Field) -> None:
        self.fields = fields

    def read(self, reader: Reader, out: Fields) -> None:
        for field in self.fields:
            field.read(reader, out)

    def write(self, out: bytearray, given: Fields) -> None:
        for field in self.fields:
            field.write(out, given)


def integer(value: object, name: str, offset: int, size: int, *, signed: bool = False) -> bytes:
    """The octets of an integer."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise CarrierError(f"{name}: an integer is needed", offset)
    try:
        return value.to_bytes(size, "big", signed=signed)
    except OverflowError:
        raise CarrierError(f"{name}: {value} does not fit {size} octets", offset) from None


def text(value: object, name: str, offset: int, most: int) -> bytes:
    """The octets of a string of at most ``most`` octets without a NUL."""
    if not isinstance(value, str):
        raise CarrierError(f"{name}: a string is needed", offset)
    try:
        octets = value.encode("latin-1")
    except UnicodeEncodeError:
        raise CarrierError(f"{name}: has characters the wire cannot carry", offset) from None
    if b"\0" in octets:
        raise CarrierError(f"{name}: must not hold a NUL", offset)
    if len(octets) > most:
        raise CarrierError(f"{name}: at most {most} octets, {len(octets)} given", offset)
    return octets


def hexadecimal(value: object, name: str, offset: int) -> bytes:
    """The octets a hexadecimal string stands for."""
    if not isinstance(value, str):
        raise CarrierError(f"{name}: a hexadecimal string is needed", offset)
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise CarrierError(f"{name}: not hexadecimal", offset) from None


def refuse_unknown(left: Fields, offset: int) -> None:
    """Everything given must have been understood."""
    if left:
        raise CarrierError(f"unknown field {next(iter(left))!r}", offset)
