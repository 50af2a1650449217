"""SI and SL trees to WBXML and back (WAP-192, with the token tables of WAP-167 and WAP-168).

Strict when writing: version 1.2, UTF-8, no string table, dates as opaque decimal digits. Lenient when reading: versions
1.1 to 1.3, any listed character set, string tables, literal names, dates as text.
"""

import re
from typing import Final

import msgspec

from wappush.documents import check, check_date
from wappush.elements import MOST_DEPTH, MOST_OCTETS, Element
from wappush.faults import PushError
from wappush.octets import Reader

UTF_8: Final = 106
# IANA MIBenum to Python codec: those that no octet 00 ends early.
CHARSETS: Final[dict[int, str]] = {
    0: "utf-8",
    3: "ascii",
    4: "latin-1",
    UTF_8: "utf-8",
    113: "gbk",
    114: "gb18030",
    2025: "gb2312",
    2026: "big5",
}

_SWITCH_PAGE, _END, _ENTITY, _STR_I, _LITERAL = 0x00, 0x01, 0x02, 0x03, 0x04
_STR_T, _OPAQUE = 0x83, 0xC3
_DATES: Final = ("created", "si-expires")


class Vocabulary(msgspec.Struct, frozen=True):
    """Tokens of one document type. An attribute start is (name, beginning of the value)."""

    public_id: int
    public_name: str
    tags: dict[int, str]
    starts: dict[int, tuple[str, str]]


_VALUES: Final[dict[int, str]] = {0x85: ".com/", 0x86: ".edu/", 0x87: ".net/", 0x88: ".org/"}
_TOKEN_OF: Final = {text: token for token, text in _VALUES.items()}
_RUNS: Final = re.compile(f"({'|'.join(map(re.escape, _TOKEN_OF))})")

SI: Final = Vocabulary(
    0x05,
    "-//WAPFORUM//DTD SI 1.0//EN",
    {0x05: "si", 0x06: "indication", 0x07: "info", 0x08: "item"},
    {
        0x05: ("action", "signal-none"),
        0x06: ("action", "signal-low"),
        0x07: ("action", "signal-medium"),
        0x08: ("action", "signal-high"),
        0x09: ("action", "delete"),
        0x0A: ("created", ""),
        0x0B: ("href", ""),
        0x0C: ("href", "http://"),
        0x0D: ("href", "http://www."),
        0x0E: ("href", "https://"),
        0x0F: ("href", "https://www."),
        0x10: ("si-expires", ""),
        0x11: ("si-id", ""),
        0x12: ("class", ""),
    },
)
SL: Final = Vocabulary(
    0x06,
    "-//WAPFORUM//DTD SL 1.0//EN",
    {0x05: "sl"},
    {
        0x05: ("action", "execute-low"),
        0x06: ("action", "execute-high"),
        0x07: ("action", "cache"),
        0x08: ("href", ""),
        0x09: ("href", "http://"),
        0x0A: ("href", "http://www."),
        0x0B: ("href", "https://"),
        0x0C: ("href", "https://www."),
    },
)
_BY_ROOT: Final = {"si": SI, "sl": SL}


class Wbxml(msgspec.Struct, frozen=True):
    """A decoded document and what its header said."""

    root: Element
    version: int
    public_id: int
    charset: int


def encode(root: Element, version: int = 2) -> bytes:
    """WBXML of a valid SI or SL tree; `version` 1 to 3 is WBXML 1.1 to 1.3, of which only this octet differs here."""
    check(root)
    if version not in (1, 2, 3):
        raise PushError("version_unsupported", 0, "version")
    vocabulary = _BY_ROOT[root.name]
    out = bytearray((version, vocabulary.public_id, UTF_8, 0))
    _write(root, vocabulary, out)
    return bytes(out)


def decode(data: bytes) -> Wbxml:
    """The document of WBXML octets. Raises `PushError` with the octet's offset."""
    if len(data) > MOST_OCTETS:
        raise PushError("too_long", MOST_OCTETS)
    reader = Reader(data)
    version = reader.octet("version")
    if version not in (1, 2, 3):
        raise PushError("version_unsupported", 0, "version")
    at = reader.at
    public_id = reader.uintvar("publicid")
    name_at = reader.uintvar("publicid") if public_id == 0 else 0
    charset_at = reader.at
    charset = reader.uintvar("charset")
    if charset not in CHARSETS:
        raise PushError("charset_unsupported", charset_at, "charset")
    table = reader.take(reader.uintvar("strtbl"), "strtbl")
    decoder = _Decoder(reader, table, CHARSETS[charset])
    name = decoder.table_string(name_at, at) if public_id == 0 else ""
    decoder.vocabulary = _vocabulary(public_id, name, at)
    root = decoder.element(reader.octet("body"), 0)
    if reader.left():
        raise PushError("trailing", reader.at)
    return Wbxml(root, version, decoder.vocabulary.public_id, charset)


def _vocabulary(public_id: int, name: str, at: int) -> Vocabulary:
    for vocabulary in (SI, SL):
        if public_id == vocabulary.public_id or name == vocabulary.public_name:
            return vocabulary
    raise PushError("document_unknown", at, "publicid")


def _write(element: Element, vocabulary: Vocabulary, out: bytearray) -> None:
    token = next(token for token, name in vocabulary.tags.items() if name == element.name)
    content = bool(element.text or element.children)
    out.append(token | (0x80 if element.attributes else 0) | (0x40 if content else 0))
    for name, value in element.attributes.items():
        _write_attribute(name, value, vocabulary, out)
    if element.attributes:
        out.append(_END)
    if element.text:
        _write_string(element.text, element.name, out)
    for child in element.children:
        _write(child, vocabulary, out)
    if content:
        out.append(_END)


def _write_attribute(name: str, value: str, vocabulary: Vocabulary, out: bytearray) -> None:
    """The start with the longest beginning of the value, then the value's runs and its domain tokens."""
    beginnings = [
        (len(begin), token)
        for token, (attribute, begin) in vocabulary.starts.items()
        if attribute == name and value.startswith(begin)
    ]
    length, token = max(beginnings)
    out.append(token)
    rest = value[length:]
    if name in _DATES:
        digits = bytes.fromhex("".join(char for char in rest if char.isdigit())).rstrip(b"\0")
        out += bytes((_OPAQUE, len(digits))) + digits
        return
    for run in _RUNS.split(rest):  # one pass, however many tokens there are
        if run in _TOKEN_OF:
            out.append(_TOKEN_OF[run])
        elif run:
            _write_string(run, name, out)


def _write_string(text: str, field: str, out: bytearray) -> None:
    if "\0" in text:
        raise PushError("text_invalid", text.index("\0"), field)
    try:
        octets = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise PushError("text_invalid", error.start, field) from None
    out.append(_STR_I)
    out += octets + b"\0"


class _Decoder:
    """The body of one document."""

    vocabulary: Vocabulary

    def __init__(self, reader: Reader, table: bytes, codec: str) -> None:
        self._reader = reader
        self._table = table
        self._codec = codec
        self._room = MOST_OCTETS  # of text: a string of the table may be named as often as there are octets

    def element(self, token: int, depth: int) -> Element:
        """The element that `token`, just read, begins."""
        at = self._reader.at - 1
        if depth >= MOST_DEPTH:
            raise PushError("too_deep", at)
        element = Element(self._tag(token, at))
        if token & 0x80:
            self._attributes(element)
        if token & 0x40:
            self._content(element, depth)
        element.text = element.text.strip(" \t\r\n")
        return element

    def table_string(self, offset: int, at: int) -> str:
        """The string at an offset of the string table."""
        end = self._table.find(0, offset)
        if offset >= len(self._table) or end < 0:
            raise PushError("truncated", at, "strtbl")
        return self._text(self._table[offset:end])

    def _text(self, octets: bytes) -> str:
        self._room -= len(octets)
        if self._room < 0:
            raise PushError("too_long", self._reader.at)
        return octets.decode(self._codec, "replace")

    def _tag(self, token: int, at: int) -> str:
        code = token & 0x3F
        if code == _LITERAL:
            return self.table_string(self._reader.uintvar("literal"), at)
        name = self.vocabulary.tags.get(code)
        if name is None:
            raise PushError("token_unknown", at)
        return name

    def _attributes(self, element: Element) -> None:
        pieces: dict[str, list[str]] = {}
        name = ""
        while (token := self._token()) != _END:
            at = self._reader.at - 1
            if token == _LITERAL or token in self.vocabulary.starts:
                name, value = (
                    (self.table_string(self._reader.uintvar("literal"), at), "")
                    if token == _LITERAL
                    else self.vocabulary.starts[token]
                )
                pieces[name] = [value]
            elif not name:
                raise PushError("token_misplaced", at)
            elif token == _OPAQUE and name in _DATES:
                pieces[name].append(self._date(name))
            elif token in _VALUES:
                pieces[name].append(_VALUES[token])
            else:
                pieces[name].append(self._string(token, at))
        element.attributes = {name: "".join(values) for name, values in pieces.items()}

    def _content(self, element: Element, depth: int) -> None:
        pieces: list[str] = []
        while (token := self._token()) != _END:
            at = self._reader.at - 1
            if token in (_STR_I, _STR_T, _ENTITY, _OPAQUE):
                pieces.append(self._string(token, at))
            else:
                element.children.append(self.element(token, depth + 1))
        element.text = "".join(pieces)

    def _token(self) -> int:
        """The next token; switches to page 0, the only one there is, are passed over."""
        while (token := self._reader.octet("body")) == _SWITCH_PAGE:
            if self._reader.octet("page"):
                raise PushError("token_unknown", self._reader.at - 1, "page")
        return token

    def _string(self, token: int, at: int) -> str:
        reader = self._reader
        if token == _STR_I:
            return self._text(reader.string("body"))
        if token == _STR_T:
            return self.table_string(reader.uintvar("body"), at)
        if token == _OPAQUE:
            return self._text(reader.take(reader.uintvar("body"), "body"))
        if token == _ENTITY:
            point = reader.uintvar("body")
            if point > 0x10FFFF or 0xD800 <= point <= 0xDFFF:
                raise PushError("text_invalid", at)
            return chr(point)
        raise PushError("token_unknown", at)

    def _date(self, name: str) -> str:
        """A date of up to seven octets of decimal digits, zeros at the end left out (WAP-167 clause 8.2.2)."""
        at = self._reader.at
        digits = self._reader.take(self._reader.uintvar("body"), "body").hex().ljust(14, "0")
        text = f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}T{digits[8:10]}:{digits[10:12]}:{digits[12:]}Z"
        try:
            check_date(text, name)
        except PushError:
            raise PushError("date_invalid", at, name) from None
        return text
