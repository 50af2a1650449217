"""Fields under the standards' names: identity with the reference's octets, other spellings kept, every refusal."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wappush import PushError, decode_fields, encode_fields

SI = "02056A0045C60D036578616D706C650085036E2F31001103613100080AC30620300102030410C304203002010103E79FADE4BFA1000101"
PUSH = "0605040B8423F001060403AE81EA" + SI
FIELD = (
    "0B05040B8423F0000303010129060603AE81EA8DCA02056A0045C6080C033231312E3133362E3135332E33302F776170707573682F70757368"
    "496E6465782E6A73703F7075736849643D3035303531313134313630353231000103E8AFB7E782B9E587BBE4BBA5E4B88BE993BEE68EA5E88E"
    "B7E58F96E5BDA9E4BFA1E58685E5AEB9000101"
)


@pytest.mark.parametrize(
    ("kind", "octets"),
    [
        ("wbxml", SI),
        ("wbxml", "02066A00850B036578616D706C6500870378000601"),
        ("wbxml", "03056A0045860B0378000147C812036B0001037600010101"),
        ("wappush", PUSH),
        ("wappush", PUSH[14:]),
        ("wappush", FIELD),
        ("wappush", "0B05040B8423F00003090201" + "010604"),  # a part of a long one
        ("wappush", "0106 01 BE 8C82".replace(" ", "")),  # another content type
        ("wappush", "0106051F03AE81EA" + SI),  # another spelling of the content type
        ("wappush", "01060403AE81EA" + "03" + SI[2:]),
        ("wappush", "01060403AE81EA" + "02056A034142004546830001" + "01"),  # a string table
    ],
)
def test_decoded_fields_encode_to_the_same_octets_also_through_json(kind: str, octets: str) -> None:
    fields = decode_fields(kind, bytes.fromhex(octets))
    assert encode_fields(kind, json.loads(json.dumps(fields))).hex().upper() == octets


def test_names() -> None:
    assert decode_fields("wbxml", bytes.fromhex(SI)) == {
        "version": 2, "publicid": 5, "charset": 106, "strtbl": "",
        "si": {"indication": {
            "href": "http://www.example.com/n/1", "si-id": "a1", "action": "signal-high",
            "created": "2030-01-02T03:04:00Z", "si-expires": "2030-02-01T00:00:00Z", "text": "短信",
        }},
    }  # fmt: skip
    fields = decode_fields("wappush", bytes.fromhex(FIELD))
    assert fields["differences"] == ["Content-Length is 74, the body has 112 octets"]
    assert fields["HeadersLen"] == 6
    assert fields["Headers"] == [{"name": "Content-Length", "value": "CA"}]
    fields = decode_fields("wbxml", bytes.fromhex("03056A0045860B0378000147C812036B0001037600010101"))
    assert fields["si"]["info"] == {"item": [{"class": "k", "text": "v"}]}


@pytest.mark.parametrize(
    ("kind", "octets", "code", "at"),
    [
        ("wbxml", "05", "version_unsupported", 0),
        ("wappush", "", "not_a_push", 0),
        ("wappush", "FF01", "not_a_push", 0),
        ("wappush", "0605040B8423F00107", "not_a_push", 8),
        ("wappush", "0605040B8423F0010601AE02096A00", "document_unknown", 12),
    ],
)
def test_bad_octets(kind: str, octets: str, code: str, at: int) -> None:
    with pytest.raises(PushError) as caught:
        decode_fields(kind, bytes.fromhex(octets))
    assert (caught.value.code, caught.value.at) == (code, at)


TREE = {"sl": {"href": "x"}}
TYPED = {"Content-Type": "application/vnd.wap.slc", "Data": TREE}


@pytest.mark.parametrize(
    ("kind", "fields", "code", "field"),
    [
        ("wbxml", {}, "field_missing", "si"),
        ("wbxml", {"si": {}, "sl": {}}, "field_missing", "si"),
        ("wbxml", {**TREE, "x": 1}, "field_unknown", "x"),
        ("wbxml", {**TREE, "version": "2"}, "field_invalid", "version"),
        ("wbxml", {**TREE, "version": True}, "field_invalid", "version"),
        ("wbxml", {**TREE, "version": 9}, "version_unsupported", "version"),
        ("wbxml", {**TREE, "publicid": 5}, "field_invalid", "publicid"),
        ("wbxml", {**TREE, "charset": 3}, "field_invalid", "charset"),
        ("wbxml", {**TREE, "strtbl": "00"}, "field_invalid", "strtbl"),
        ("wbxml", {"sl": 5}, "field_invalid", "sl"),
        ("wbxml", {"si": {"indication": {"indication": {"a": {"b": {"c": {"d": {}}}}}}}}, "field_invalid", "c"),
        ("wappush", {"Data": "00", "x": 1}, "field_unknown", "x"),
        ("wappush", {}, "field_missing", "Data"),
        ("wappush", {"Data": "0"}, "not_hex", "Data"),
        ("wappush", {"Data": 5}, "field_invalid", "Data"),
        ("wappush", {"Data": "00", "UDH": 5}, "field_invalid", "UDH"),
        ("wappush", {"Data": "00", "UDH": [5]}, "field_invalid", "UDH"),
        ("wappush", {"Data": "00", "UDH": [{"IEI": 300, "IED": ""}]}, "field_invalid", "UDH"),
        ("wappush", {"Data": "00", "UDH": [{"IEI": 3}]}, "field_invalid", "UDH"),
        ("wappush", {"Data": "00", "UDH": [{"IEI": 3, "IED": "00" * 200}]}, "field_invalid", "UDH"),
        ("wappush", {"Data": "00", "Content-Type": 5}, "field_invalid", "Content-Type"),
        ("wappush", {**TYPED, "TID": 256}, "field_invalid", "TID"),
        ("wappush", {**TYPED, "PDU-Type": 7}, "field_invalid", "PDU-Type"),
        ("wappush", {**TYPED, "Headers": [{"name": 5, "value": ""}]}, "field_invalid", "Headers"),
    ],
)
def test_refusals(kind: str, fields: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(PushError) as caught:
        encode_fields(kind, fields)
    assert (caught.value.code, caught.value.field) == (code, field)


def test_defaults() -> None:
    assert encode_fields("wbxml", TREE).hex() == "02066a00850803780001"
    assert encode_fields("wappush", TYPED).hex() == "010601b0" + "02066a00850803780001"
    assert encode_fields("wappush", {**TYPED, "charset": 106})[2:7].hex() == "0403b081ea"


LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-5, 300), st.text(max_size=5), st.just("AE"))
KEYS = st.sampled_from(["si", "sl", "indication", "href", "text", "IEI", "IED", "name", "value", "info", "item"])


def _around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    # Named, because hypothesis reads a lambda's source where it reports it, which fails near the recursion limit (CPython 3.11).
    return st.one_of(st.lists(inner, max_size=2), st.dictionaries(KEYS, inner))


JSON = st.recursive(LEAVES, _around, max_leaves=8)
NAMES = ["si", "sl", "version", "UDH", "Data", "Content-Type", "charset", "Headers", "TID", "PDU"]


@given(st.sampled_from(["wbxml", "wappush"]), st.dictionaries(st.sampled_from(NAMES), JSON))
def test_any_json_encodes_or_gives_the_declared_error(kind: str, fields: dict[str, Any]) -> None:
    with contextlib.suppress(PushError):
        assert isinstance(encode_fields(kind, fields), bytes)


@given(
    st.sampled_from(["wbxml", "wappush"]), st.binary(max_size=60), st.sampled_from(["", "02056A00", "010601AE02056A00"])
)
def test_any_octets_decode_to_json_and_back_or_give_the_declared_error(kind: str, data: bytes, head: str) -> None:
    octets = bytes.fromhex(head) + data
    with contextlib.suppress(PushError):
        fields = decode_fields(kind, octets)
        json.dumps(fields)
        if kind == "wappush":
            assert encode_fields(kind, fields) == octets
