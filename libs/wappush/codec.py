"""WAP Push contents and WBXML as dictionaries under the standards' own names, for people and tests.

`wbxml` is a WBXML document; `wappush` the content of a short message: user data header, WSP push PDU, document. Decoded
fields encode to the same octets, except for what only one of several spellings can be kept of: string tables, literal
names, runs of strings.
"""

from collections.abc import Mapping
from typing import Any, Final

from smstext import TextError, split_header
from smstext.udh import header
from wappush import wbxml, wsp
from wappush.elements import Element
from wappush.faults import PushError
from wappush.octets import Reader

KINDS: Final = ("wappush", "wbxml")

_MOST_DEPTH: Final = 4
_WBXML: Final = frozenset({"version", "publicid", "charset", "strtbl", "si", "sl"})
_PUSH: Final = frozenset(
    {"UDH", "TID", "PDU-Type", "HeadersLen", "Content-Type", "charset", "Headers", "Data", "differences", "PDU"}
)


def decode_fields(kind: str, octets: bytes) -> dict[str, Any]:
    """Fields of `wappush` or `wbxml` octets. Raises `PushError` with the octet's offset."""
    return _decode_wbxml(octets) if kind == "wbxml" else _decode_push(octets)


def encode_fields(kind: str, fields: Mapping[str, Any]) -> bytes:
    """Octets of such fields. Raises `PushError` naming the field."""
    return _encode_wbxml(fields) if kind == "wbxml" else _encode_push(fields)


def _decode_wbxml(octets: bytes) -> dict[str, Any]:
    found = wbxml.decode(octets)
    return {
        "version": found.version,
        "publicid": found.public_id,
        "charset": found.charset,
        "strtbl": "",
        found.root.name: _shown(found.root),
    }


def _encode_wbxml(fields: Mapping[str, Any]) -> bytes:
    _known(fields, _WBXML)
    roots = [name for name in ("si", "sl") if name in fields]
    if len(roots) != 1:
        raise PushError("field_missing", 0, "si")
    octets = wbxml.encode(_tree(roots[0], fields[roots[0]], 0), _number(fields, "version", 2))
    for name, value in (("publicid", octets[1]), ("charset", wbxml.UTF_8)):
        if _number(fields, name, value) != value:
            raise PushError("field_invalid", 0, name)
    if fields.get("strtbl", ""):
        raise PushError("field_invalid", 0, "strtbl")
    return octets


def _decode_push(octets: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    payload = octets
    # A push PDU has its type, 06, in the second octet; a header has an element's identifier there.
    if octets[1:2] != b"\x06":
        found, payload = split_header(octets)
        if found.malformed:
            raise PushError("not_a_push", 0, "UDH")
        fields["UDH"] = [{"IEI": iei, "IED": value.hex().upper()} for iei, value in found.elements]
        if found.concat is not None and found.concat.total > 1:
            return {**fields, "Data": payload.hex().upper()}
    start = len(octets) - len(payload)
    try:
        push = wsp.decode(payload)
    except PushError as error:
        raise PushError(error.code, error.at + start, error.field) from None
    fields |= {"TID": push.tid, "PDU-Type": wsp.PUSH, "HeadersLen": Reader(payload, 2).uintvar()}
    fields |= {"Content-Type": push.content_type, "charset": push.charset}
    fields["Headers"] = [{"name": found.name, "value": found.raw.hex().upper()} for found in push.headers]
    if push.content_type in ("application/vnd.wap.sic", "application/vnd.wap.slc"):
        try:
            fields["Data"] = _decode_wbxml(push.body)
        except PushError as error:
            raise PushError(error.code, error.at + len(octets) - len(push.body), error.field) from None
        if _encode_wbxml(fields["Data"]) != push.body:
            fields["Data"] = push.body.hex().upper()  # another spelling of a document: kept as it is
    else:
        fields["Data"] = push.body.hex().upper()
    if push.differences:
        fields["differences"] = list(push.differences)
    if wsp.encode(push) != payload:
        fields["PDU"] = payload.hex().upper()  # another spelling of the headers: kept beside what it means
    return fields


def _encode_push(fields: Mapping[str, Any]) -> bytes:
    _known(fields, _PUSH)
    head = b""
    if "UDH" in fields:
        try:
            head = header(b"".join(_element(item) for item in _list(fields, "UDH"))) or b"\0"  # one without elements
        except TextError as error:
            raise PushError("field_invalid", error.at, "UDH") from None
    if "PDU" in fields:
        return head + _octets(fields["PDU"], "PDU")
    if "Data" not in fields:
        raise PushError("field_missing", 0, "Data")
    data = fields["Data"]
    body = _octets(data, "Data") if isinstance(data, str) else _encode_wbxml(_mapping(data, "Data"))
    if "Content-Type" not in fields:  # a part of a long push
        return head + body
    content_type = fields["Content-Type"]
    if not isinstance(content_type, str):
        raise PushError("field_invalid", 0, "Content-Type")
    charset = None if fields.get("charset") is None else _number(fields, "charset", 0)
    push = wsp.Push(
        tid=_number(fields, "TID", 1),
        content_type=content_type,
        charset=charset,
        headers=tuple(_header(item) for item in _list(fields, "Headers")),
        body=body,
    )
    if _number(fields, "PDU-Type", wsp.PUSH) != wsp.PUSH:
        raise PushError("field_invalid", 0, "PDU-Type")
    return head + wsp.encode(push)


def _shown(element: Element) -> dict[str, Any]:
    shown: dict[str, Any] = dict(element.attributes)
    if element.text:
        shown["text"] = element.text
    for child in element.children:
        if child.name == "item":
            shown.setdefault("item", []).append(_shown(child))
        else:
            shown[child.name] = _shown(child)
    return shown


def _tree(name: str, shown: Any, depth: int) -> Element:
    element = Element(name)
    for key, value in _mapping(shown, name).items():
        if depth > _MOST_DEPTH:
            raise PushError("field_invalid", 0, name)
        if key == "text" and isinstance(value, str):
            element.text = value
        elif isinstance(value, str):
            element.attributes[key] = value
        elif isinstance(value, list):
            element.children += [_tree(key, item, depth + 1) for item in value]
        else:
            element.children.append(_tree(key, value, depth + 1))
    return element


def _known(fields: Mapping[str, Any], names: frozenset[str]) -> None:
    for name in fields:
        if name not in names:
            raise PushError("field_unknown", 0, str(name))


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise PushError("field_invalid", 0, name)
    return value


def _list(fields: Mapping[str, Any], name: str) -> list[Any]:
    value = fields.get(name, [])
    if not isinstance(value, list):
        raise PushError("field_invalid", 0, name)
    return value


def _number(fields: Mapping[str, Any], name: str, default: int) -> int:
    value = fields.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise PushError("field_invalid", 0, name)
    return value


def _octets(value: Any, name: str) -> bytes:
    if not isinstance(value, str):
        raise PushError("field_invalid", 0, name)
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise PushError("not_hex", 0, name) from None


def _element(item: Any) -> bytes:
    fields = _mapping(item, "UDH")
    _known(fields, frozenset({"IEI", "IED"}))
    value = _octets(fields.get("IED"), "UDH")
    identifier = _number(fields, "IEI", 0x100)
    if identifier > 0xFF or len(value) > 0xFF:
        raise PushError("field_invalid", 0, "UDH")
    return bytes((identifier, len(value))) + value


def _header(item: Any) -> wsp.Header:
    fields = _mapping(item, "Headers")
    _known(fields, frozenset({"name", "value"}))
    name = fields.get("name")
    if not isinstance(name, str):
        raise PushError("field_invalid", 0, "Headers")
    return wsp.Header(name, _octets(fields.get("value"), "Headers"))
