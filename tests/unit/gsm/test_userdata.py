"""User data: headers and fill bits, national tables, limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsm import GsmError, decode_user_data, encode_user_data
from gsm.userdata import octets_of_length
from smstext.alphabet import SEPTETS_OF

HEADERS = st.sampled_from(["", "0003a70201", "0804beef0302", "05040b8423f0"]).map(bytes.fromhex)


@given(st.text(alphabet=sorted(SEPTETS_OF), max_size=60), HEADERS)
def test_seven_bit_text_round_trips_behind_any_header(text: str, elements: bytes) -> None:
    length, octets = encode_user_data(text, 0, elements)
    assert len(octets) == octets_of_length(length, 0)
    found = decode_user_data(length, octets, 0, has_header=bool(elements))
    assert found.text == text
    assert (found.header is not None) == bool(elements)


@given(st.text(alphabet="你好👍a", max_size=30), HEADERS)
def test_ucs2_round_trips(text: str, elements: bytes) -> None:
    length, octets = encode_user_data(text, 8, elements)
    assert length == len(octets)
    assert decode_user_data(length, octets, 8, has_header=bool(elements)).text == text


def test_binary_and_compressed_content_is_no_text() -> None:
    assert encode_user_data(b"\x01\x02", 4) == (2, b"\x01\x02")
    assert decode_user_data(2, b"\x01\x02", 4, has_header=False).text is None
    for dcs in (0x20, 0x28):
        found = decode_user_data(2, b"\x01\x02", dcs, has_header=False)
        assert (found.text, found.content) == (None, b"\x01\x02")
    assert encode_user_data(b"\x01\x02", 0x20) == (2, b"\x01\x02")


@pytest.mark.parametrize(
    ("elements", "text", "septets"),
    [("240101", "ğı", "1b671b69"), ("250101", "ğı", "0c07"), ("250103240103", "ãΦ", "7b1b12")],
)
def test_national_languages_by_header(elements: str, text: str, septets: str) -> None:
    length, octets = encode_user_data(text, 0, bytes.fromhex(elements))
    found = decode_user_data(length, octets, 0, has_header=True)
    assert found.text == text
    assert found.content.hex() == septets


def test_a_malformed_header_names_no_language() -> None:
    found = decode_user_data(10, bytes.fromhex("03250200" + "00" * 5), 0, has_header=True)
    assert found.header is not None
    assert found.header.malformed
    assert found.text == "@@@@@"


def test_a_language_element_of_another_length_is_ignored() -> None:
    length, octets = encode_user_data("a", 0, bytes.fromhex("24020101"))
    assert decode_user_data(length, octets, 0, has_header=True).text == "a"


@pytest.mark.parametrize(
    ("content", "dcs", "elements", "code"),
    [
        ("你", 0, b"", "text_not_encodable"),
        ("a", 4, b"", "text_not_encodable"),
        ("a", 0x20, b"", "text_not_encodable"),
        ("\ud83d", 8, b"", "text_not_encodable"),
        ("a" * 161, 0, b"", "user_data_too_long"),
        ("a" * 154, 0, bytes.fromhex("0003a70201"), "user_data_too_long"),
        ("你" * 71, 8, b"", "user_data_too_long"),
        (b"", 4, bytes(140), "user_data_too_long"),
    ],
)
def test_what_cannot_be(content: str | bytes, dcs: int, elements: bytes, code: str) -> None:
    with pytest.raises(GsmError) as caught:
        encode_user_data(content, dcs, elements)
    assert caught.value.code == code


def test_full_messages_fit() -> None:
    assert encode_user_data("a" * 160, 0)[0] == 160
    assert encode_user_data("a" * 153, 0, bytes.fromhex("0003a70201"))[0] == 160
    assert encode_user_data("a" * 152, 0, bytes.fromhex("0804beef0302"))[0] == 160


@given(st.binary(max_size=140), st.integers(0, 255), st.booleans())
def test_any_user_data_is_read(octets: bytes, dcs: int, has_header: bool) -> None:
    for length in (len(octets), len(octets) * 8 // 7):
        if octets_of_length(length, dcs) == len(octets):
            decode_user_data(length, octets, dcs, has_header=has_header)
