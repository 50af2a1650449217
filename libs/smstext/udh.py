"""The user data header of a short message (3GPP TS 23.040 clause 9.2.3.24), built strictly and read leniently.

Only the header: which octets of a message are header is the protocol's flag (UDHI, TP_udhi, esm_class), the caller's.
"""

from typing import Final

import msgspec

from smstext.faults import TextError

CONCAT_8: Final = 0x00
PORTS_8: Final = 0x04
PORTS_16: Final = 0x05
CONCAT_16: Final = 0x08
NATIONAL_SINGLE: Final = 0x24
NATIONAL_LOCKING: Final = 0x25


class Concat(msgspec.Struct, frozen=True, gc=False):
    """One part's place in its long message: `index` counts from 1, `width` is that of the reference in bits."""

    reference: int
    total: int
    index: int
    width: int = 8


class Header(msgspec.Struct, frozen=True):
    """A header as read. `elements` holds every element in order, unknown ones too; `size` includes the length octet."""

    elements: tuple[tuple[int, bytes], ...]
    size: int
    concat: Concat | None = None
    ports: tuple[int, int] | None = None
    """(destination, originator)"""
    malformed: bool = False


def concat_element(reference: int, total: int, index: int, width: int = 8) -> bytes:
    """The concatenation element; raises `TextError` for values it cannot hold."""
    if not 1 <= index <= total <= 255:
        raise TextError("part_range")
    if width not in (8, 16):
        raise TextError("width_invalid")
    if not 0 <= reference < 1 << width:
        raise TextError("reference_range")
    if width == 8:
        return bytes((CONCAT_8, 3, reference, total, index))
    return bytes((CONCAT_16, 4, reference >> 8, reference & 0xFF, total, index))


def ports_element(destination: int, originator: int, width: int = 16) -> bytes:
    """The application port element, destination first: 16 bits (clause 9.2.3.24.4) or 8 (clause 9.2.3.24.3)."""
    if width not in (8, 16):
        raise TextError("width_invalid")
    if not (0 <= destination < 1 << width and 0 <= originator < 1 << width):
        raise TextError("reference_range")
    octets = width // 8
    head = bytes((PORTS_8 if width == 8 else PORTS_16, 2 * octets))
    return head + destination.to_bytes(octets, "big") + originator.to_bytes(octets, "big")


def header(elements: bytes) -> bytes:
    """Elements with their length octet before them; nothing when there are none."""
    if not elements:
        return b""
    if len(elements) > 139:  # 140 octets of user data less the length octet
        raise TextError("header_too_long", len(elements))
    return bytes((len(elements),)) + elements


def split_header(data: bytes, *, lenient: bool = True) -> tuple[Header, bytes]:
    """(header, content) of user data that begins with a header.

    Lengths that do not fit: strict raises `TextError` with the octet's offset; lenient ignores the elements and lets
    the text begin where the length octet says, or keeps every octet when that is past the end: nothing may be lost.
    """
    if not data:
        return _malformed(0, 0, lenient), b""
    size = data[0] + 1
    if size > len(data):
        return _malformed(0, 0, lenient), data
    elements: list[tuple[int, bytes]] = []
    at = 1
    while at < size:
        if at + 2 > size or at + 2 + data[at + 1] > size:
            return _malformed(at, size, lenient), data[size:]
        end = at + 2 + data[at + 1]
        elements.append((data[at], data[at + 2 : end]))
        at = end
    return Header(tuple(elements), size, _concat(elements), _ports(elements)), data[size:]


def _malformed(at: int, size: int, lenient: bool) -> Header:
    if not lenient:
        raise TextError("header_malformed", at)
    return Header((), size, malformed=True)


def _concat(elements: list[tuple[int, bytes]]) -> Concat | None:
    """The last concatenation element that can be right: clause 9.2.3.24 lets the last of a repeated element count."""
    for identifier, value in reversed(elements):
        if identifier == CONCAT_8 and len(value) == 3:
            found = Concat(value[0], value[1], value[2], 8)
        elif identifier == CONCAT_16 and len(value) == 4:
            found = Concat(value[0] << 8 | value[1], value[2], value[3], 16)
        else:
            continue
        if 1 <= found.index <= found.total:  # clause 9.2.3.24.1: anything else is ignored
            return found
    return None


def _ports(elements: list[tuple[int, bytes]]) -> tuple[int, int] | None:
    for identifier, value in reversed(elements):
        if identifier == PORTS_16 and len(value) == 4:
            return value[0] << 8 | value[1], value[2] << 8 | value[3]
        if identifier == PORTS_8 and len(value) == 2:
            return value[0], value[1]
    return None
