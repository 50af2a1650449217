"""Fields under the standard's names: identity, readable input, and every refusal."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsm import GsmError, decode_fields, encode_fields, octets_of
from gsm.codec import KINDS

VECTORS = {
    "gsm-submit": [
        "0031000D91683108000000F00000A70CC83468C38B6D7CA04DB906",
        "0041000D91683108000000F000000B050003A7020182C22111",
        "0051000D91683108000000F00008AA0B060804BEEF03024F60597D",
        "0019000D91683108000000F000000310203040502300",  # absolute validity
        "0009000D91683108000000F00000021E000000000000",  # enhanced validity
        "0001000D91683108000000F0000000",
        "0001000D91683108000000F0002002FFFF",  # compressed
    ],
    "gsm-deliver": [
        "0891683108501705F0040D91683108000000F00008031020304050230460597DF0",
        "0044" + "07D0D3E33008" + "0000" + "03102030405023" + "0B" + "050003A7020182C22111",
    ],
    "gsm-status": [
        "00062A0D91683108000000F0031020304050230310203040502300",
        "00062A0D91683108000000F003102030405023031020304050230007000803004F6061"[:-2] + "00",
    ],
    "gsm-deliver-report": ["000000", "0000D300", "00000300" + "08"],
    "gsm-submit-report": ["00010003102030405023", "0001C30003102030405023"],
    "gsm-command": ["0002010000050581" + "0180F600", "00220100020105810180F602ABCD"],
}
ALL = [(kind, text) for kind, texts in VECTORS.items() for text in texts]


@pytest.mark.parametrize(("kind", "text"), ALL)
def test_decoded_fields_encode_to_the_same_octets_also_through_json(kind: str, text: str) -> None:
    octets = octets_of(text)
    try:
        fields = decode_fields(kind, octets)
    except GsmError as error:
        pytest.fail(f"{error.code} at {error.at} in {error.field}")
    trailing = bytes.fromhex(fields.get("trailing", ""))
    assert encode_fields(kind, json.loads(json.dumps(fields))) + trailing == octets


@pytest.mark.parametrize(("kind", "text"), ALL)
def test_truncation_and_the_wrong_kind_are_declared(kind: str, text: str) -> None:
    octets = octets_of(text)
    for size in range(len(octets)):
        for other in KINDS:
            with contextlib.suppress(GsmError):
                decode_fields(other, octets[:size])
    wrong = "gsm-deliver" if kind in ("gsm-submit-report", "gsm-status") else "gsm-command"
    if kind not in ("gsm-deliver", "gsm-command"):
        with pytest.raises(GsmError):
            decode_fields(wrong, octets)


def test_names_are_the_standards() -> None:
    fields = decode_fields("gsm-submit", octets_of(VECTORS["gsm-submit"][0]))
    assert fields == {
        "SCA": None, "TP-MTI": 1, "TP-RD": 0, "TP-SRR": 1, "TP-UDHI": 0, "TP-RP": 0, "TP-MR": 0,
        "TP-DA": {"number": "8613800000000", "TON": 1, "NPI": 1}, "TP-PID": 0, "TP-DCS": 0, "TP-VPF": 2, "TP-VP": 167,
        "TP-UDL": 12, "TP-UD": "C83468C38B6D7CA04DB906", "text": "Hi [1] €5",
    }  # fmt: skip
    fields = decode_fields("gsm-submit", octets_of(VECTORS["gsm-submit"][2]))
    assert fields["UDH"] == [{"IEI": 8, "IED": "BEEF0302"}]
    assert fields["text"] == "你好"
    fields = decode_fields("gsm-status", octets_of(VECTORS["gsm-status"][0]))
    assert fields["TP-DT"] == "2030-01-02T03:04:05+08:00"
    assert "TP-UD" not in fields
    assert decode_fields("gsm-submit", octets_of(VECTORS["gsm-submit"][0] + "FF"))["trailing"] == "FF"


def test_the_wrong_kind_says_where_the_type_is() -> None:
    with pytest.raises(GsmError) as caught:
        decode_fields("gsm-deliver", octets_of("0001C30003102030405023"))
    assert (caught.value.code, caught.value.at, caught.value.field) == ("wrong_type", 1, "TP-MTI")
    with pytest.raises(GsmError) as caught:
        decode_fields("gsm-deliver", octets_of("0391214301C30003102030405023"))
    assert (caught.value.code, caught.value.at) == ("wrong_type", 4)


def test_text_and_header_instead_of_octets() -> None:
    octets = encode_fields("gsm-submit", {"TP-DA": "+8613800000000", "TP-DCS": 8, "TP-VP": 170, "text": "你好",
                                          "UDH": [{"IEI": 8, "IED": "BEEF0302"}]})  # fmt: skip
    assert octets.hex().upper() == VECTORS["gsm-submit"][2]
    assert encode_fields("gsm-submit", {"TP-DA": "10086", "text": "hi"})[-3:].hex() == "02e834"
    assert encode_fields("gsm-submit", {"TP-DA": "10086", "SCA": "+8613800571500"})[0] == 8
    assert encode_fields("gsm-submit", {"TP-DA": "10086", "TP-VP": "2030-01-02T03:04:05+08:00"})[1] == 0x19
    assert encode_fields("gsm-submit", {"TP-DA": "10086", "TP-VP": "021E0000000000", "TP-VPF": 1})[1] == 0x09
    assert encode_fields("gsm-submit", {"TP-DA": "10086", "TP-VP": None})[1] == 0x01


@pytest.mark.parametrize(
    ("kind", "fields", "code", "field"),
    [
        ("gsm-submit", {}, "field_missing", "TP-DA"),
        ("gsm-deliver", {"TP-OA": "1"}, "field_missing", "TP-SCTS"),
        ("gsm-submit", {"TP-DA": "1", "TP-XX": 1}, "field_unknown", "TP-XX"),
        ("gsm-submit", {"TP-DA": "1", "TP-MTI": 0}, "wrong_type", "TP-MTI"),
        ("gsm-submit", {"TP-DA": "1", "TP-VPF": 2}, "field_range", "TP-VPF"),
        ("gsm-submit", {"TP-DA": 1}, "field_range", "TP-DA"),
        ("gsm-submit", {"TP-DA": {"number": "1"}}, "field_range", "TP-DA"),
        ("gsm-submit", {"TP-DA": {"number": 1, "TON": 1, "NPI": 1}}, "field_range", "TP-DA"),
        ("gsm-submit", {"TP-DA": {"number": "1", "TON": 8, "NPI": 1}}, "field_range", "TP-DA"),
        ("gsm-submit", {"TP-DA": "1", "TP-PID": "x"}, "field_range", "TP-PID"),
        ("gsm-submit", {"TP-DA": "1", "TP-PID": True}, "field_range", "TP-PID"),
        ("gsm-submit", {"TP-DA": "1", "TP-UD": "00"}, "field_missing", "TP-UDL"),
        ("gsm-submit", {"TP-DA": "1", "TP-UD": 5, "TP-UDL": 1}, "not_hex", "TP-UD"),
        ("gsm-submit", {"TP-DA": "1", "TP-UD": "61", "TP-UDL": 1, "text": "b"}, "user_data_conflict", "TP-UD"),
        ("gsm-submit", {"TP-DA": "1", "TP-UD": "61", "TP-UDL": 1, "UDH": []}, "user_data_conflict", "TP-UD"),
        ("gsm-submit", {"TP-DA": "1", "text": 5}, "field_range", "text"),
        ("gsm-submit", {"TP-DA": "1", "UDH": 5}, "field_range", "UDH"),
        ("gsm-submit", {"TP-DA": "1", "UDH": [5]}, "field_range", "UDH"),
        ("gsm-submit", {"TP-DA": "1", "UDH": [{"IEI": 300, "IED": ""}]}, "field_range", "UDH"),
        ("gsm-submit", {"TP-DA": "1", "text": "a", "TP-DCS": 4}, "text_not_encodable", "TP-UD"),
        ("gsm-deliver", {"TP-OA": "1", "TP-SCTS": 5}, "time_invalid", "TP-SCTS"),
        ("gsm-submit", {"TP-DA": "1", "TP-VP": "zz"}, "not_hex", ""),
    ],
)  # fmt: skip
def test_encoding_refuses(kind: str, fields: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(GsmError) as caught:
        encode_fields(kind, fields)
    assert (caught.value.code, caught.value.field) == (code, field)


KEYS = st.sampled_from(["number", "TON", "NPI", "IEI", "IED"])
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 300), st.text(max_size=5), st.just("2030-01-02T03:04:05+08:00")
)


def _around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    # Named, because hypothesis reads a lambda's source where it reports it, which fails near the recursion limit (CPython 3.11).
    return st.one_of(st.lists(inner, max_size=2), st.dictionaries(KEYS, inner))


JSON = st.recursive(LEAVES, _around, max_leaves=6)
NAMES = [
    "SCA",
    "TP-MTI",
    "TP-DA",
    "TP-OA",
    "TP-UD",
    "TP-UDL",
    "TP-VP",
    "TP-VPF",
    "TP-DCS",
    "TP-SCTS",
    "text",
    "UDH",
    "TP-PI",
]


@given(st.sampled_from(sorted(KINDS)), st.dictionaries(st.sampled_from(NAMES), JSON))
def test_any_json_encodes_or_gives_the_declared_error(kind: str, fields: dict[str, Any]) -> None:
    with contextlib.suppress(GsmError):
        assert isinstance(encode_fields(kind, fields), bytes)


@given(st.sampled_from(sorted(KINDS)), st.binary(max_size=180))
def test_any_octets_decode_or_give_the_declared_error(kind: str, octets: bytes) -> None:
    with contextlib.suppress(GsmError):
        json.dumps(decode_fields(kind, octets))
