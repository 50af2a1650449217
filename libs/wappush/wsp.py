"""The WSP Push PDU that carries a document over SMS (WAP-230 clauses 8.2.4.1 and 8.4): headers to octets and back.

Header values are kept as they are on the wire, so an unknown one passes through; `value_of` says what a known one means.
"""

from typing import Final

import msgspec

from wappush.faults import PushError
from wappush.octets import Reader, uintvar

PUSH: Final = 0x06
MOST_HEADERS: Final = 64

# WAP-230 table 40, as far as pushes use it.
CONTENT_TYPES: Final[dict[int, str]] = {
    0x2D: "text/vnd.wap.si",
    0x2E: "application/vnd.wap.sic",
    0x2F: "text/vnd.wap.sl",
    0x30: "application/vnd.wap.slc",
    0x32: "application/vnd.wap.coc",
    0x34: "application/vnd.wap.sia",
    0x35: "text/vnd.wap.connectivity-xml",
    0x36: "application/vnd.wap.connectivity-wbxml",
    0x3E: "application/vnd.wap.mms-message",
}
# WAP-230 table 39, as far as pushes use it.
HEADERS: Final[dict[int, str]] = {
    0x0D: "Content-Length",
    0x2F: "X-Wap-Application-Id",
    0x30: "X-Wap-Content-URI",
    0x31: "X-Wap-Initiator-URI",
    0x34: "Push-Flag",
}
_NUMBER_OF: Final = {name: number for number, name in HEADERS.items()}
_CHARSET: Final = 0x01


class Header(msgspec.Struct, frozen=True):
    """A header: its name, or `0x2A` for a number without one here, and its value as on the wire."""

    name: str
    raw: bytes


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """A push PDU. `charset` is an IANA MIBenum, None when the content type came without; 106 is UTF-8.

    `differences` is what a received one said wrongly and was accepted all the same.
    """

    tid: int = 1
    content_type: str = "application/vnd.wap.sic"
    charset: int | None = 106
    headers: tuple[Header, ...] = ()
    body: bytes = b""
    differences: tuple[str, ...] = ()


def encode(push: Push) -> bytes:
    """Octets of a push; strict: raises `PushError` for what cannot be written."""
    if not 0 <= push.tid <= 0xFF:
        raise PushError("field_invalid", 0, "TID")
    headers = _content_type(push) + b"".join(_field(header.name) + header.raw for header in push.headers)
    return bytes((push.tid, PUSH)) + uintvar(len(headers)) + headers + push.body


def decode(data: bytes) -> Push:
    """A push from its octets. Lenient: a wrong Content-Length is noted; raises `PushError` with the octet's offset."""
    reader = Reader(data)
    tid = reader.octet("TID")
    if reader.octet("PDU-Type") != PUSH:
        raise PushError("not_a_push", 1, "PDU-Type")
    size = reader.uintvar("HeadersLen")
    end = reader.at + size
    if end > len(data):
        raise PushError("truncated", len(data), "HeadersLen")
    inner = Reader(data[:end], reader.at)
    content_type, charset = _read_content_type(inner)
    headers: list[Header] = []
    while inner.left():
        if len(headers) >= MOST_HEADERS:
            raise PushError("too_long", inner.at, "Headers")
        header = _read_header(inner)
        if header is not None:
            headers.append(header)
    body = data[end:]
    return Push(
        tid=tid,
        content_type=content_type,
        charset=charset,
        headers=tuple(headers),
        body=body,
        differences=_differences(headers, body),
    )


def header(name: str, value: int | str) -> Header:
    """A header from a number or a text (WAP-230 clause 8.4.2.1)."""
    return Header(name, integer(value) if isinstance(value, int) else text_string(value))


def value_of(found: Header) -> int | str | None:
    """A header's number or text; None for a value of another form."""
    raw = found.raw
    if raw and raw[0] & 0x80:
        return raw[0] & 0x7F
    if raw and 1 <= raw[0] <= 30:
        return int.from_bytes(raw[1:], "big")
    if raw.endswith(b"\0"):
        return raw[:-1].removeprefix(b"\x7f").decode("utf-8", "replace")
    return None


def integer(value: int) -> bytes:
    """A short integer below 128, else a long one: its count of octets, then they."""
    if value < 0 or value >= 1 << 240:
        raise PushError("number_too_large")
    if value < 0x80:
        return bytes((0x80 | value,))
    octets = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes((len(octets),)) + octets


def text_string(value: str) -> bytes:
    """A text up to a zero, quoted when its first octet could be taken for a number."""
    octets = value.encode("utf-8", "surrogatepass")
    if b"\0" in octets:
        raise PushError("text_invalid", octets.index(0))
    return (b"\x7f" if octets[:1] > b"\x7f" else b"") + octets + b"\0"


def _content_type(push: Push) -> bytes:
    number = next((number for number, name in CONTENT_TYPES.items() if name == push.content_type), None)
    media = integer(number) if number is not None else _token_text(push.content_type)
    if push.charset is None:
        return media
    value = media + bytes((0x80 | _CHARSET,)) + integer(push.charset)
    return (bytes((len(value),)) if len(value) <= 30 else b"\x1f" + uintvar(len(value))) + value


def _token_text(name: str) -> bytes:
    if not name or not name.isascii() or not name.isprintable():
        raise PushError("text_invalid", 0, "Content-Type")
    return name.encode("ascii") + b"\0"


def _field(name: str) -> bytes:
    if name in _NUMBER_OF:
        return bytes((0x80 | _NUMBER_OF[name],))
    if len(name) == 4 and name.startswith("0x"):
        try:
            number = int(name, 16)
        except ValueError:
            number = 0x80
        if number < 0x80:
            return bytes((0x80 | number,))
    return _token_text(name)


def _read_content_type(reader: Reader) -> tuple[str, int | None]:
    at = reader.at
    first = reader.octet("Content-Type")
    if first & 0x80:
        return _media(first & 0x7F), None
    if first > 31:
        reader.at = at
        return reader.string("Content-Type").decode("latin-1"), None
    size = reader.uintvar("Content-Type") if first == 31 else first
    inner = Reader(reader.data[: reader.at] + reader.take(size, "Content-Type"), reader.at - size)
    start = inner.octet("Content-Type")
    if start & 0x80:
        media = _media(start & 0x7F)
    elif start <= 30:
        media = _media(int.from_bytes(inner.take(start, "Content-Type"), "big"))
    else:
        inner.at -= 1
        media = inner.string("Content-Type").decode("latin-1")
    return media, _read_charset(inner)


def _media(number: int) -> str:
    return CONTENT_TYPES.get(number, f"0x{number:02X}")


def _read_charset(reader: Reader) -> int | None:
    """The charset parameter, if it is the first; the others, which pushes do not use, are passed over."""
    if not reader.left() or reader.octet("Content-Type") != 0x80 | _CHARSET:
        return None
    first = reader.octet("charset")
    if first & 0x80:
        return first & 0x7F
    if first > 30:
        return None
    return int.from_bytes(reader.take(first, "charset"), "big")


def _read_header(reader: Reader) -> Header | None:
    at = reader.at
    first = reader.octet("Headers")
    if first & 0x80:
        number = first & 0x7F
        return Header(HEADERS.get(number, f"0x{number:02X}"), _read_value(reader))
    if first == 0x7F or first < 32:  # a shift to another header page (clause 8.4.2.6): nothing of it is used here
        if first == 0x7F:
            reader.octet("Headers")
        return None
    reader.at = at
    name = reader.string("Headers").decode("latin-1")
    return Header(name, _read_value(reader))


def _read_value(reader: Reader) -> bytes:
    """The octets of a value by its first one (clause 8.4.1.2)."""
    start = reader.at
    first = reader.octet("Headers")
    if first <= 30:
        reader.take(first, "Headers")
    elif first == 31:
        reader.take(reader.uintvar("Headers"), "Headers")
    elif first < 0x80:
        reader.string("Headers")
    return reader.data[start : reader.at]


def _differences(headers: list[Header], body: bytes) -> tuple[str, ...]:
    return tuple(
        f"Content-Length is {value}, the body has {len(body)} octets"
        for found in headers
        if found.name == "Content-Length" and (value := value_of(found)) != len(body)
    )
