"""From a text or octets to the SMS-SUBMITs that carry it: alphabet, header, parts. It knows no link and no clock."""

from typing import Final

import msgspec

from gsm.address import Address
from gsm.dcs import build_dcs, parse_dcs
from gsm.faults import GsmError
from gsm.pdu import Submit
from gsm.times import Timestamp
from gsm.userdata import encode_user_data
from smstext import Coding, TextError, choose, encode
from smstext.national import alphabet
from smstext.segment import cut
from smstext.septets import header_septets
from smstext.udh import NATIONAL_LOCKING, NATIONAL_SINGLE, concat_element, ports_element

_OCTETS: Final = 140
_SEPTETS: Final = 160


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to send. `reference` goes into every part of a long message, `width` bits wide.

    `dcs` is TP-DCS whole, for message waiting and the like; without it `coding` and `message_class` make one. `national`
    is (locking, single) language identifiers for 7-bit text; `ports` is (destination, originator), `port_width` bits
    wide; `elements` are further header elements, put into every part.
    """

    dcs: int | None = None
    coding: Coding | None = None
    message_class: int | None = None
    pid: int = 0
    validity: int | Timestamp | bytes | None = None
    report: bool = True
    reject_duplicates: bool = False
    reply_path: bool = False
    reference: int = 0
    width: int = 8
    national: tuple[int, int] = (0, 0)
    ports: tuple[int, int] | None = None
    port_width: int = 16
    elements: bytes = b""


class UserDataPart(msgspec.Struct, frozen=True):
    """What one message carries: TP-DCS, TP-UDHI, TP-UDL and TP-UD."""

    tp_dcs: int
    tp_udhi: int
    tp_udl: int
    tp_ud: bytes


def submits(content: str | bytes, destination: Address, options: Options | None = None) -> list[Submit]:
    """The messages that carry `content`, in order. Raises `GsmError`: unencodable, too long, a field out of range."""
    options = options or Options()
    return [
        Submit(
            tp_rd=int(options.reject_duplicates),
            tp_srr=int(options.report),
            tp_udhi=part.tp_udhi,
            tp_rp=int(options.reply_path),
            tp_da=destination,
            tp_pid=options.pid,
            tp_dcs=part.tp_dcs,
            tp_vp=options.validity,
            tp_udl=part.tp_udl,
            tp_ud=part.tp_ud,
        )
        for part in parts(content, options)
    ]


def parts(content: str | bytes, options: Options) -> list[UserDataPart]:
    """The user data of the messages that carry `content`, whichever way they go. Raises `GsmError` as `submits`."""
    try:
        coding = _coding(content, options)
        elements = _elements(coding, options)
        pieces = _pieces(content, coding, elements, options)
        total = len(pieces)
        headers = [
            elements + (concat_element(options.reference, total, index, options.width) if total > 1 else b"")
            for index in range(1, total + 1)
        ]
    except TextError as error:
        raise GsmError(_FAULTS.get(error.code, "field_range"), error.at, "TP-UD") from None
    dcs = build_dcs(coding, options.message_class) if options.dcs is None else options.dcs
    return [
        UserDataPart(dcs, int(bool(header)), *encode_user_data(piece, dcs, header))
        for piece, header in zip(pieces, headers, strict=True)
    ]


_FAULTS: Final = {
    "not_in_alphabet": "text_not_encodable",
    "lone_surrogate": "text_not_encodable",
    "text_as_octets": "text_not_encodable",
    "too_many_segments": "user_data_too_long",
    "part_range": "user_data_too_long",
}


def _coding(content: str | bytes, options: Options) -> Coding:
    if isinstance(content, bytes):
        return Coding.OCTETS
    if options.dcs is not None:
        return parse_dcs(options.dcs).coding
    if options.coding is not None:
        return options.coding
    if options.national == (0, 0):
        return choose(content)
    try:
        alphabet(*options.national).encode(content)
    except TextError:
        return Coding.UCS2
    return Coding.GSM7


def _elements(coding: Coding, options: Options) -> bytes:
    elements = options.elements + (ports_element(*options.ports, options.port_width) if options.ports else b"")
    if coding is Coding.GSM7:
        for identifier, language in zip((NATIONAL_LOCKING, NATIONAL_SINGLE), options.national, strict=True):
            if not 0 <= language <= 0xFF:
                raise GsmError("field_range", 0, "national")
            elements += bytes((identifier, 1, language)) if language else b""
    return elements


def _pieces(content: str | bytes, coding: Coding, elements: bytes, options: Options) -> list[str | bytes]:
    sizes = _sizes(content, coding, options)
    if sum(sizes) <= _room(coding, elements):
        return [content]
    room = _room(coding, elements + concat_element(options.reference, 1, 1, options.width))
    if room < 4:  # the longest character of any coding
        raise GsmError("user_data_too_long", 0, "elements")
    positions = [0]
    for size in sizes:
        positions.append(positions[-1] + size)
    if isinstance(content, bytes):
        return [content[start : start + room] for start in range(0, len(content), room)]
    ends = cut(content, positions, room)
    return [content[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _sizes(content: str | bytes, coding: Coding, options: Options) -> list[int]:
    """Octets, or septets, of each character."""
    if isinstance(content, bytes):
        return [1] * len(content)
    if coding is Coding.GSM7:
        whole = alphabet(*options.national)
        return [len(whole.encode(char)) for char in content]
    encode(content, coding)  # the offset of a character that cannot be encoded counts from the text's start
    return [4 if char > "\uffff" else 2 for char in content]


def _room(coding: Coding, elements: bytes) -> int:
    size = len(elements) + 1 if elements else 0
    if coding is Coding.GSM7:
        return _SEPTETS - header_septets(size)[0]
    room = _OCTETS - size
    return room - room % 2 if coding is Coding.UCS2 else room
