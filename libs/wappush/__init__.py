"""WAP Push: SI and SL documents, WBXML, the WSP push PDU, the short messages that carry them, PAP 2.0. Pure."""

from wappush.codec import decode_fields, encode_fields
from wappush.documents import Document, Indication, Loading, from_tree, from_xml, to_tree, to_xml
from wappush.faults import FAULTS, PushError
from wappush.push import PUSH_PORT, SENDER_PORT, octets_left, read, segments, to_push

__all__ = [
    "FAULTS",
    "PUSH_PORT",
    "SENDER_PORT",
    "Document",
    "Indication",
    "Loading",
    "PushError",
    "decode_fields",
    "encode_fields",
    "from_tree",
    "from_xml",
    "octets_left",
    "read",
    "segments",
    "to_push",
    "to_tree",
    "to_xml",
]
