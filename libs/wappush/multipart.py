"""multipart/related as PAP uses it: control entity, content, capabilities (RFC 2046 clause 5.1, RFC 2387)."""

import re
from typing import Final

import msgspec

from wappush.elements import MOST_OCTETS
from wappush.faults import PushError

MOST_PARTS: Final = 3  # control, content, capabilities
_BOUNDARY: Final = re.compile(r';\s*boundary\s*=\s*(?:"([^"]{1,70})"|([^\s";,]{1,70}))', re.IGNORECASE | re.ASCII)
_SAFE: Final = re.compile(r"[0-9A-Za-z'()+_,\-./:=?]{1,70}\Z")  # bchars without space, RFC 2046


class Part(msgspec.Struct, frozen=True):
    """A part; header names are in lower case."""

    headers: dict[str, str]
    content: bytes

    @property
    def content_type(self) -> str:
        """The media type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def split(content_type: str, body: bytes) -> list[Part]:
    """The parts of a body, or the body itself as the one part when it is not multipart. Raises `PushError`."""
    if len(body) > MOST_OCTETS:
        raise PushError("too_long", MOST_OCTETS)
    if not content_type.strip().lower().startswith("multipart/"):
        return [Part({"content-type": content_type}, body)]
    match = _BOUNDARY.search(content_type)
    if match is None:
        raise PushError("multipart_malformed", 0, "boundary")
    delimiter = b"--" + (match[1] or match[2]).encode("ascii")
    # A delimiter stands at the beginning of a line; the line end before it belongs to it.
    pieces = re.split(rb"(?:\A|\r?\n)" + re.escape(delimiter) + rb"(?=--|[ \t]*\r?\n)", body)
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise PushError("multipart_malformed", len(body), "boundary")
    if len(pieces) - 2 > MOST_PARTS:
        raise PushError("multipart_malformed", 0, "parts")
    return [_part(piece) for piece in pieces[1:-1]]


def join(parts: list[Part], boundary: str) -> tuple[str, bytes]:
    """(content type, body) of parts; `boundary` is the caller's, and must not occur in a part."""
    delimiter = b"--" + boundary.encode("ascii", "replace")
    if not _SAFE.match(boundary) or any(delimiter in part.content for part in parts):
        raise PushError("multipart_malformed", 0, "boundary")
    body = b""
    for part in parts:
        lines = "".join(f"{name.title()}: {_header(value)}\r\n" for name, value in part.headers.items())
        body += delimiter + b"\r\n" + lines.encode("utf-8") + b"\r\n" + part.content + b"\r\n"
    return f'multipart/related; boundary="{boundary}"; type="application/xml"', body + delimiter + b"--\r\n"


def _header(value: str) -> str:
    if "\r" in value or "\n" in value:
        raise PushError("multipart_malformed", 0, "header")
    return value


def _part(piece: bytes) -> Part:
    """One piece: the rest of the delimiter's line, headers, an empty line, the content."""
    piece = piece.lstrip(b" \t")
    piece = piece[2:] if piece.startswith(b"\r\n") else piece[1:]
    if piece.startswith((b"\r\n", b"\n")):
        head, content = b"", piece.lstrip(b"\r")[1:]
    else:
        match = re.search(rb"\r?\n\r?\n", piece)
        if match is None:
            raise PushError("multipart_malformed", 0, "header")
        head, content = piece[: match.start()], piece[match.end() :]
    headers: dict[str, str] = {}
    for line in re.sub(rb"\r?\n[ \t]+", b" ", head).splitlines():  # folded headers
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if not colon:
            raise PushError("multipart_malformed", 0, "header")
        headers[name.strip().lower()] = value.strip()
    return Part(headers, content)
