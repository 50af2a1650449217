"""PDU mode strings: the service centre's address and a TPDU in hexadecimal (3GPP TS 27.005 clause 3.1)."""

import msgspec

from gsm.address import Address, decode_centre, encode_centre
from gsm.faults import GsmError
from gsm.layout import decode, encode
from gsm.pdu import Pdu
from gsm.reader import Reader


class Frame(msgspec.Struct, frozen=True):
    """A TPDU with its service centre; None is the modem's own. `trailing` is what stood behind it, to be reported."""

    pdu: Pdu
    centre: Address | None = None
    trailing: bytes = b""


def octets_of(text: str) -> bytes:
    """Octets of a hexadecimal string; spaces are allowed. Raises `GsmError("not_hex")` with the octet's offset."""
    digits = text.replace(" ", "").strip()
    if not digits.isascii():
        raise GsmError("not_hex")
    for at in range(0, len(digits), 2):
        pair = digits[at : at + 2]
        if len(pair) != 2 or not pair.isalnum() or pair.strip("0123456789abcdefABCDEF"):
            raise GsmError("not_hex", at // 2)
    return bytes.fromhex(digits)


def encode_frame(frame: Frame) -> bytes:
    """Octets of a frame; what trailed a decoded one is not written."""
    return encode_centre(frame.centre) + encode(frame.pdu)


def decode_frame(octets: bytes, *, to_phone: bool, length: int | None = None, error: bool | None = None) -> Frame:
    """A frame from its octets.

    `length` is what the modem announced, the TPDU's octets: some modems leave the centre out of +CMT and +CDS, which
    shows by the octets being exactly as many. Raises `GsmError`.
    """
    if length is not None and len(octets) == length:
        pdu, trailing = decode(octets, to_phone=to_phone, error=error)
        return Frame(pdu, None, trailing)
    reader = Reader(octets)
    centre = decode_centre(reader)
    if length is not None and reader.left() < length:
        raise GsmError("length_mismatch", reader.at)
    pdu, trailing = decode(octets[reader.at :], to_phone=to_phone, error=error, at=reader.at)
    return Frame(pdu, centre, trailing)


def announced_length(frame: Frame) -> int:
    """The number for AT+CMGS: octets of the TPDU, the centre's not counted."""
    return len(encode(frame.pdu))
