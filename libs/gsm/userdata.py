"""TP-UD: text or octets with a header, packed behind it as TP-DCS says (3GPP TS 23.040 clause 9.2.3.24)."""

import msgspec

from gsm.dcs import parse_dcs
from gsm.faults import GsmError
from smstext import Coding, Header, TextError, decode, encode, split_header
from smstext.national import alphabet
from smstext.septets import header_septets, pack, unpack
from smstext.udh import NATIONAL_LOCKING, NATIONAL_SINGLE, header

MOST_OCTETS = 140


class UserData(msgspec.Struct, frozen=True):
    """What TP-UD holds: its header, if TP-UDHI said there is one, the content unpacked, and the text, if it is text.

    `content` is one septet an octet for 7-bit text; `text` is None for 8-bit and compressed content.
    """

    header: Header | None
    content: bytes
    text: str | None


def octets_of_length(length: int, dcs: int) -> int:
    """How many octets of TP-UD a TP-UDL announces: it counts septets for uncompressed 7-bit text, else octets."""
    return (7 * length + 7) // 8 if _in_septets(dcs) else length


def encode_user_data(content: str | bytes, dcs: int, elements: bytes = b"") -> tuple[int, bytes]:
    """(TP-UDL, TP-UD) of a text or, for 8-bit or compressed data, octets; TP-UDHI is 1 when there are elements.

    The national language elements among `elements` choose the 7-bit tables. Raises `GsmError`: text that the alphabet
    lacks, more than 140 octets.
    """
    try:
        head = header(elements)
        body = content if isinstance(content, bytes) else _octets(content, dcs, elements)
        if not _in_septets(dcs):
            length, octets = len(head) + len(body), head + body
        else:
            before, fill = header_septets(len(head))
            length, octets = before + len(body), head + pack(body, fill=fill)
    except TextError as error:
        code = "user_data_too_long" if error.code == "header_too_long" else "text_not_encodable"
        raise GsmError(code, error.at, "TP-UD") from None
    if len(octets) > MOST_OCTETS:
        raise GsmError("user_data_too_long", MOST_OCTETS, "TP-UD")
    return length, octets


def decode_user_data(length: int, octets: bytes, dcs: int, *, has_header: bool) -> UserData:
    """What a TP-UD of `octets_of_length(length, dcs)` octets holds; never raises: what is broken shows as U+FFFD."""
    head: Header | None = None
    size = 0
    content = octets
    if has_header:
        head, content = split_header(octets)
        size = head.size
    coding = parse_dcs(dcs)
    if not _in_septets(dcs):
        text = decode(content, Coding.UCS2, lenient=True) if coding.coding is Coding.UCS2 else None
        return UserData(head, content, None if coding.compressed else text)
    before, fill = header_septets(size)
    septets = unpack(octets[size:], max(0, length - before), fill=fill)
    return UserData(head, septets, alphabet(*_languages(head)).decode(septets, lenient=True))


def _in_septets(dcs: int) -> bool:
    coding = parse_dcs(dcs)
    return coding.coding is Coding.GSM7 and not coding.compressed


def _octets(text: str, dcs: int, elements: bytes) -> bytes:
    coding = parse_dcs(dcs)
    if coding.compressed:
        raise TextError("text_as_octets")
    if coding.coding is Coding.GSM7:
        return alphabet(*_languages(split_header(header(elements))[0])).encode(text)
    return encode(text, coding.coding)


def _languages(head: Header | None) -> tuple[int, int]:
    """(locking, single) national language identifiers; the last of a repeated element counts."""
    chosen = {NATIONAL_LOCKING: 0, NATIONAL_SINGLE: 0}
    for identifier, value in head.elements if head else ():
        if identifier in chosen and len(value) == 1:
            chosen[identifier] = value[0]
    return chosen[NATIONAL_LOCKING], chosen[NATIONAL_SINGLE]
