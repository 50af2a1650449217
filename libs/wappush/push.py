"""A document as the short messages that carry it: WBXML in WSP behind a header with the push ports (WAP-259).

The contents made here go out with TP-UDHI and 8-bit coding over any link: TP-UD of a modem, short_message of SMPP with
esm_class 0x40, Msg_Content of CMPP, SGIP and SMGP with TP_udhi and format 4.
"""

from typing import Final

import msgspec

from smstext import Concat, Segmentation, TextError, split_header, split_octets
from smstext.udh import header, ports_element
from wappush import wbxml, wsp
from wappush.documents import Document, Indication, Loading, from_tree, to_tree
from wappush.faults import PushError

PUSH_PORT: Final = 2948
SECURE_PORT: Final = 2949
SENDER_PORT: Final = 9200
DATA_CODING: Final = 0x04
"""8-bit data; 0xF5, class 1, is the other usual value."""

_TYPES: Final = {"si": "application/vnd.wap.sic", "sl": "application/vnd.wap.slc"}
_ROOM: Final = 140


class Received(msgspec.Struct, frozen=True):
    """A push read from one content. `document` is None for a part of a longer one and for other content types."""

    ports: tuple[int, int] | None
    concat: Concat | None
    push: wsp.Push | None
    document: Document | None
    payload: bytes


def to_push(document: Document, *, charset: int | None = wbxml.UTF_8, tid: int = 1) -> wsp.Push:
    """The push PDU of a document; the application id is left out because it is the default one, wml.ua."""
    root = to_tree(document)
    return wsp.Push(tid=tid, content_type=_TYPES[root.name], charset=charset, body=wbxml.encode(root))


def segments(document: Document, *, reference: int = 0, width: int = 8, port: int = PUSH_PORT) -> Segmentation:
    """The contents that carry a document, one header with ports in each (reference section 9.1).

    `reference` is the concatenation reference. Raises `PushError`: the document breaks a rule, or needs above 255 parts.
    """
    try:
        elements = ports_element(port, SENDER_PORT)
        return split_octets(wsp.encode(to_push(document)), reference=reference, width=width, elements=elements)
    except TextError as error:
        code = "too_long" if error.code == "too_many_segments" else "field_invalid"
        raise PushError(code, error.at, error.code) from None


def octets_left(document: Document) -> int:
    """How many octets of text one message still has room for; negative is how many are too many for one.

    What a composer shows beside the address: a Chinese character takes three octets, and each separate run of text in
    the address one more than its characters.
    """
    return _ROOM - len(header(ports_element(PUSH_PORT, SENDER_PORT))) - len(wsp.encode(to_push(document)))


def read(content: bytes, *, has_header: bool = True) -> Received:
    """A push from the content of one short message; parts of a long one come back as their payload, to be joined first.

    Raises `PushError` for what is no push; a document that breaks its DTD is an error too, other content types are not.
    """
    found, payload = split_header(content) if has_header else (None, content)
    concat = found.concat if found else None
    ports = found.ports if found else None
    if concat is not None and concat.total > 1:
        return Received(ports, concat, None, None, payload)
    start = len(content) - len(payload)
    try:
        push = wsp.decode(payload)
        start += len(payload) - len(push.body)
        document = from_tree(wbxml.decode(push.body).root) if push.content_type in _TYPES.values() else None
    except PushError as error:
        raise PushError(error.code, error.at + start, error.field) from None
    return Received(ports, concat, push, document, payload)


__all__ = [
    "DATA_CODING",
    "PUSH_PORT",
    "SECURE_PORT",
    "SENDER_PORT",
    "Indication",
    "Loading",
    "Received",
    "octets_left",
    "read",
    "segments",
    "to_push",
]
