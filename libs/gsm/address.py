"""Addresses of 3GPP TS 23.040 clause 9.1.2.5 and of the service centre in PDU mode (TS 27.005 clause 3.1).

An address keeps its type octet as it was, so what is decoded encodes to the same octets.
"""

from typing import Final

import msgspec

from gsm.faults import GsmError
from gsm.reader import Reader
from smstext import Coding, TextError, decode, encode
from smstext.septets import pack, unpack

INTERNATIONAL: Final = 0x91
UNKNOWN: Final = 0x81
ALPHANUMERIC: Final = 0xD0

_SEMI_OCTETS: Final = "0123456789*#abc"  # 15 is the filler
_MOST_DIGITS: Final = 20  # 12 octets less length and type (clause 9.1.2.5)


class Address(msgspec.Struct, frozen=True):
    """A number (digits, `*`, `#`, `a`-`c`) or a name of at most 11 characters, and its type octet."""

    number: str
    type: int = UNKNOWN

    @property
    def ton(self) -> int:
        """Type of number: 1 international, 5 alphanumeric."""
        return self.type >> 4 & 7

    @property
    def npi(self) -> int:
        """Numbering plan: 1 is E.164."""
        return self.type & 15

    def __str__(self) -> str:
        return f"+{self.number}" if self.ton == 1 else self.number


def address_of(number: str) -> Address:
    """An address from how people write it: `+86138...` is international, digits of unknown type, the rest a name."""
    if number.startswith("+"):
        return Address(number[1:], INTERNATIONAL)
    if number and all(char in _SEMI_OCTETS for char in number):
        return Address(number, UNKNOWN)
    return Address(number, ALPHANUMERIC)


def encode_address(address: Address) -> bytes:
    """TP-OA, TP-DA, TP-RA: the length counts digits."""
    _check_type(address)
    if address.ton == 5:
        septets = _name_septets(address.number)
        return bytes(((7 * len(septets) + 3) // 4, address.type)) + pack(septets)
    if len(address.number) > _MOST_DIGITS:
        raise GsmError("address_too_long", _MOST_DIGITS)
    return bytes((len(address.number), address.type)) + encode_digits(address.number)


def decode_address(reader: Reader, field: str) -> Address:
    """The address at the reader's place; fillers among the digits are dropped."""
    count = reader.octet(field)
    kind = reader.octet(field)
    octets = reader.take((count + 1) // 2, field)
    if kind >> 4 & 7 == 5:
        return Address(decode(unpack(octets, count * 4 // 7), Coding.GSM7, lenient=True), kind)
    return Address(decode_digits(octets)[:count], kind)


def encode_centre(address: Address | None) -> bytes:
    """The service centre before a TPDU: the length counts octets; none is 00, the modem's own."""
    if address is None:
        return b"\0"
    _check_type(address)
    if len(address.number) > _MOST_DIGITS:
        raise GsmError("address_too_long", _MOST_DIGITS, "SCA")
    digits = encode_digits(address.number)
    return bytes((len(digits) + 1, address.type)) + digits


def decode_centre(reader: Reader) -> Address | None:
    """The service centre at the reader's place, None for 00."""
    count = reader.octet("SCA")
    if not count:
        return None
    kind = reader.octet("SCA")
    return Address(decode_digits(reader.take(count - 1, "SCA")), kind)


def encode_digits(digits: str) -> bytes:
    """Semi-octets, low nibble first, an odd count filled with 15."""
    nibbles = [_SEMI_OCTETS.find(digit) for digit in digits]
    if -1 in nibbles:
        raise GsmError("address_invalid", nibbles.index(-1))
    if len(nibbles) % 2:
        nibbles.append(15)
    return bytes(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True))


def decode_digits(octets: bytes) -> str:
    """Digits of semi-octets; 15 is dropped wherever it stands."""
    nibbles = [nibble for octet in octets for nibble in (octet & 15, octet >> 4)]
    return "".join(_SEMI_OCTETS[nibble] for nibble in nibbles if nibble != 15)


def _name_septets(name: str) -> bytes:
    try:
        septets = encode(name, Coding.GSM7)
    except TextError as error:
        raise GsmError("address_invalid", error.at) from None
    if len(septets) > 11:
        raise GsmError("address_too_long", 11)
    return septets


def _check_type(address: Address) -> None:
    if not 0 <= address.type <= 0xFF:
        raise GsmError("field_range", 0, "type")
