"""Which coding a text needs, and text to octets and back in each coding; packing into 7 bits lives in `septets`.

GSM text is handled here one septet an octet, which is how SMPP carries it (3GPP TS 23.038 clauses 6.1.1, 6.2.1).
Encoding is strict: a character that the coding lacks raises `TextError`. Decoding is strict or lenient, by argument.
"""

import codecs
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from smstext.faults import TextError

ESCAPE: Final = 0x1B

# TS 23.038 clause 6.2.1; index = code. 0x09 is the capital Ç, which some libraries get wrong.
DEFAULT_TABLE: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)

# TS 23.038 clause 6.2.1.1: the code that follows the escape.
EXTENSION_TABLE: Final[Mapping[int, str]] = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}

SEPTETS_OF: Final[dict[str, bytes]] = {
    **{char: bytes([code]) for code, char in enumerate(DEFAULT_TABLE) if code != ESCAPE},
    **{char: bytes([ESCAPE, code]) for code, char in EXTENSION_TABLE.items()},
}

_EXTENDED: Final = 0xFE
_ABSENT: Final = 0xFF
# One table for `bytes.translate`, so that ASCII text costs a few nanoseconds a character.
_ASCII_SEPTETS: Final = bytes(
    (_ABSENT if code is None else code[0] if len(code) == 1 else _EXTENDED)
    for code in (SEPTETS_OF.get(chr(octet)) if octet < 0x80 else None for octet in range(256))
)
_NOT_GSM: Final = re.compile("[^" + re.escape("".join(SEPTETS_OF)) + "]")
_EXTENSION_CHARS: Final = re.compile("[" + re.escape("".join(EXTENSION_TABLE.values())) + "]")


class Coding(StrEnum):
    """How the content octets of a short message stand for its text; the value is the name in settings and JSON."""

    GSM7 = "gsm7"
    ASCII = "ascii"
    LATIN1 = "latin1"
    OCTETS = "octets"
    UCS2 = "ucs2"
    GB18030 = "gb18030"
    GBK = "gbk"


# SMPP data_coding, CMPP Msg_Fmt, SGIP MessageCoding, SMGP MsgFormat agree on these (reference section 1.2), save that
# 0 is the GSM alphabet in SMPP and ASCII in the three Chinese protocols.
DATA_CODING: Final[dict[Coding, int]] = {
    Coding.GSM7: 0,
    Coding.ASCII: 0,
    Coding.LATIN1: 3,
    Coding.OCTETS: 4,
    Coding.UCS2: 8,
    Coding.GB18030: 15,
    Coding.GBK: 15,
}

_PYTHON_CODEC: Final[dict[Coding, str]] = {
    Coding.ASCII: "ascii",
    Coding.LATIN1: "latin-1",
    Coding.UCS2: "utf-16-be",
    Coding.GB18030: "gb18030",
    Coding.GBK: "gbk",
}


def coding_of(data_coding: int, *, zero: Coding = Coding.GSM7) -> Coding:
    """The coding a received data_coding (Msg_Fmt, ...) octet names; `zero` is what the protocol means by 0.

    Values 0xC0-0xFF follow TS 23.038 clause 4 as SMPP passes them through. Anything unknown is `OCTETS`: content of
    unknown coding must not be shown as text.
    """
    fixed = {0: zero, 1: Coding.ASCII, 3: Coding.LATIN1, 8: Coding.UCS2, 15: Coding.GB18030}.get(data_coding)
    if fixed is not None:
        return fixed
    group = data_coding >> 4
    if group in (0xC, 0xD):
        return Coding.GSM7
    if group == 0xE:
        return Coding.UCS2
    if group == 0xF:
        return Coding.OCTETS if data_coding & 0x04 else Coding.GSM7
    if data_coding in (0x10, 0x11, 0x12, 0x13):  # message class with the default alphabet
        return Coding.GSM7
    if data_coding in (0x18, 0x19, 0x1A, 0x1B):  # message class with UCS2; 0x18 is the usual flash
        return Coding.UCS2
    return Coding.OCTETS


def is_gsm(text: str) -> bool:
    """Whether every character is in the default alphabet or its extension."""
    if text.isascii():
        return _ABSENT not in text.encode("ascii").translate(_ASCII_SEPTETS)
    return _NOT_GSM.search(text) is None


def choose(text: str, *, narrow: Coding = Coding.GSM7, wide: Coding = Coding.UCS2) -> Coding:
    """The coding with the fewest octets that holds `text`: `narrow` when every character is in it, else `wide`.

    Links of the Chinese protocols pass `narrow=Coding.ASCII`, because their format 0 is ASCII.
    """
    if narrow is Coding.GSM7:
        return narrow if is_gsm(text) else wide
    return narrow if text.isascii() else wide


def septet_length(text: str) -> int:
    """How many septets `text` needs, extension characters counting two. The text must be in the GSM alphabet."""
    if text.isascii():
        return len(text) + text.encode("ascii").translate(_ASCII_SEPTETS).count(_EXTENDED)
    return len(text) + len(_EXTENSION_CHARS.findall(text))


def encode(text: str, coding: Coding) -> bytes:
    """`text` as content octets; GSM text one septet an octet. Raises `TextError` with the character's offset."""
    if coding is Coding.UCS2:
        try:
            return text.encode("utf-16-be")
        except UnicodeEncodeError as fault:
            raise TextError("lone_surrogate", fault.start) from None
    if coding is Coding.GSM7:
        return _encode_gsm(text)
    if coding is Coding.OCTETS:
        raise TextError("text_as_octets")
    try:
        return text.encode(_PYTHON_CODEC[coding])
    except UnicodeEncodeError as fault:
        raise TextError("not_in_alphabet", fault.start) from None


def decode(content: bytes, coding: Coding, *, lenient: bool = False) -> str:
    """Content octets as text. Strict: raises `TextError` with the octet's offset. Lenient: U+FFFD marks what is broken.

    8-bit data is shown as Latin-1, one character an octet, so that no octet is lost.
    """
    if coding is Coding.GSM7:
        return decode_gsm(content, lenient=lenient)
    if coding is Coding.OCTETS:
        return content.decode("latin-1")
    codec = "gb18030" if coding is Coding.GBK else _PYTHON_CODEC[coding]  # GB18030 is a superset of GBK
    try:
        return content.decode(codec, "replace" if lenient else "strict")
    except UnicodeDecodeError as fault:
        raise TextError("not_decodable", fault.start) from None


def _encode_gsm(text: str) -> bytes:
    if text.isascii():
        septets = text.encode("ascii").translate(_ASCII_SEPTETS)
        if septets.isascii():  # neither extension nor absent: the common case is done
            return septets
    try:
        return b"".join([SEPTETS_OF[char] for char in text])
    except KeyError:
        absent = next(at for at, char in enumerate(text) if char not in SEPTETS_OF)
        raise TextError("not_in_alphabet", absent) from None


def decode_gsm(
    septets: bytes,
    *,
    lenient: bool = False,
    table: str = DEFAULT_TABLE,
    extension: Mapping[int, str] = EXTENSION_TABLE,
) -> str:
    """Unpacked septets as text, with other tables for a national language (TS 23.038 annex A).

    An escape before a code that the extension lacks gives the main table's character (clause 6.2.1.1); a doubled
    escape gives a space (clause 6.2.1.1, note 1).
    """
    if not septets.isascii() and not lenient:
        raise TextError("octet_range", next(at for at, octet in enumerate(septets) if octet > 0x7F))
    if ESCAPE not in septets:
        return codecs.charmap_decode(septets, "replace" if lenient else "strict", table)[0]
    chars: list[str] = []
    codes = iter(septets)
    for code in codes:
        if code != ESCAPE:
            chars.append(table[code] if code < 0x80 else "\ufffd")
            continue
        follower = next(codes, None)
        if follower is None:
            if not lenient:
                raise TextError("dangling_escape", len(septets) - 1)
            chars.append(" ")
        elif follower == ESCAPE:
            chars.append(" ")
        elif follower > 0x7F:
            chars.append("\ufffd")
        else:
            chars.append(extension.get(follower) or table[follower])
    return "".join(chars)
