"""Septets packed into octets and back (3GPP TS 23.038 clause 6.1.2.1); the alphabet itself lives in `alphabet`.

Septet i occupies bits 7i..7i+6 of a little-endian bit stream. `fill` is the number of padding bits before the first
septet, which a user data header leaves behind (TS 23.040 clause 9.2.3.24).
"""

from smstext.faults import TextError


def pack(septets: bytes, *, fill: int = 0) -> bytes:
    """Octets holding `septets` (values below 0x80) after `fill` zero bits; ceil((7n + fill) / 8) octets."""
    stream = 0
    width = fill
    out = bytearray()
    for at, septet in enumerate(septets):
        if septet > 0x7F:
            raise TextError("octet_range", at)
        stream |= septet << width
        width += 7
        if width >= 8:
            out.append(stream & 0xFF)
            stream >>= 8
            width -= 8
    if width:
        out.append(stream)
    return bytes(out)


def unpack(octets: bytes, count: int, *, fill: int = 0) -> bytes:
    """Exactly `count` septets after `fill` bits. Not as many as fit: seven spare zero bits would read as `@`.

    Raises `TextError("too_few_octets")` when the octets hold fewer.
    """
    if not count:
        return b""
    if 7 * count + fill > 8 * len(octets):
        raise TextError("too_few_octets", len(octets))
    out = bytearray()
    stream = octets[0] >> fill
    width = 8 - fill
    for octet in octets[1 : (7 * count + fill + 7) // 8]:
        while width >= 7:
            out.append(stream & 0x7F)
            stream >>= 7
            width -= 7
        stream |= octet << width
        width += 8
    while len(out) < count:
        out.append(stream & 0x7F)
        stream >>= 7
    return bytes(out)


def header_septets(header_octets: int) -> tuple[int, int]:
    """(septets a user data header of `header_octets`, length octet included, occupies; fill bits after it)."""
    return (8 * header_octets + 6) // 7, -8 * header_octets % 7
