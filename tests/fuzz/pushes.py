"""WBXML, WSP push PDUs, user data headers, XML documents and PAP: every reader on any octets."""

from __future__ import annotations

import json
from collections.abc import Callable

from fuzz.script import Script

from smstext import TextError, split_header
from smstext.udh import header
from wappush import documents, multipart, pap, push, wbxml, wsp
from wappush.codec import decode_fields, encode_fields
from wappush.faults import PushError


def check_push(script: Script) -> int:
    _READERS[script.octet() % len(_READERS)](script)
    return len(script.data)


def _guarded(read: Callable[[bytes], object], data: bytes) -> object:
    try:
        return read(data)
    except PushError as fault:
        assert 0 <= fault.at <= len(data), f"offset {fault.at} of {len(data)}"
        return None


def _wbxml(script: Script) -> None:
    data = script.rest()
    found = _guarded(wbxml.decode, data)
    if not isinstance(found, wbxml.Wbxml):
        return
    try:
        again = wbxml.encode(found.root, found.version)
        xml = documents.to_xml(documents.from_tree(found.root))
    except PushError:  # a tree of tokens that no DTD allows
        return
    assert wbxml.decode(again).root == found.root
    # XML drops the white space around a text; a second reading changes nothing more.
    record = documents.from_xml(xml)
    assert documents.from_xml(documents.to_xml(record)) == record


def _wsp(script: Script) -> None:
    data = script.rest()
    found = _guarded(wsp.decode, data)
    if not isinstance(found, wsp.Push):
        return
    for one in found.headers:
        wsp.value_of(one)
    try:
        again = wsp.encode(found)
    except PushError:
        return
    back = wsp.decode(again)
    assert (back.tid, back.headers, back.body, back.content_type) == (
        found.tid, found.headers, found.body, found.content_type,
    )  # fmt: skip
    assert wsp.encode(back) == again


def _read(script: Script) -> None:
    flag, data = script.octet(), script.rest()
    _guarded(lambda octets: push.read(octets, has_header=bool(flag & 1)), data)


def _fields(kind: str) -> Callable[[Script], None]:
    def check(script: Script) -> None:
        data = script.rest()
        fields = _guarded(lambda octets: decode_fields(kind, octets), data)
        if not isinstance(fields, dict):
            return
        assert json.loads(json.dumps(fields)) == fields
        try:
            again = encode_fields(kind, fields)
        except PushError:
            return
        if kind == "wappush":
            assert again == data
        else:
            assert decode_fields(kind, again).keys() == fields.keys()

    return check


def _header(script: Script) -> None:
    data = script.rest()
    found, content = split_header(data)
    assert content == data[found.size :]
    try:
        strict, _ = split_header(data, lenient=False)
    except TextError as fault:
        assert 0 <= fault.at <= len(data)
        assert found.malformed
        return
    assert strict == found
    elements = b"".join(bytes((number, len(value))) + value for number, value in found.elements)
    assert len(elements) > 139 or header(elements) == data[: found.size] or found.size == 1


def _xml(script: Script) -> None:
    data = script.rest()
    record = _guarded(documents.from_xml, data)
    if isinstance(record, documents.Indication | documents.Loading):
        assert documents.from_xml(documents.to_xml(record)) == record
        try:
            made = push.segments(record)
        except PushError:
            return
        assert all(len(part) <= 140 for part in made.payloads)


def _pap(script: Script) -> None:
    data = script.rest()
    operation = _guarded(pap.parse_pap, data)
    if not isinstance(operation, pap.Element):
        return
    assert pap.parse_pap(pap.write_pap(operation)) == operation
    if operation.name == "push-message":
        try:
            message = pap.push_message(operation)
        except PushError:
            return
        assert pap.push_message(pap.push_element(message)) == message


def _multipart(script: Script) -> None:
    flag, data = script.octet(), script.rest()
    line, _, body = data.partition(b"\n")
    kind = 'multipart/related; boundary="b"' if flag & 1 else line.decode("latin-1")
    found = _guarded(lambda octets: multipart.split(kind, octets), body)
    if isinstance(found, list):
        assert len(found) <= multipart.MOST_PARTS
        assert sum(len(part.content) for part in found) <= len(body)


def _address(script: Script) -> None:
    text = script.rest().decode("latin-1")
    try:
        found = pap.parse_address(text)
    except PushError:
        return
    assert pap.parse_address(str(found)) == found


_READERS = (_wbxml, _wsp, _read, _fields("wappush"), _fields("wbxml"), _header, _xml, _pap, _multipart, _address)
