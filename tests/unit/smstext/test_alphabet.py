"""Codings: what is chosen, strict encoding, strict and lenient decoding."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import smstext
from smstext import Coding, TextError, choose, coding_of, decode, encode, is_gsm
from smstext.alphabet import DEFAULT_TABLE, EXTENSION_TABLE, SEPTETS_OF, decode_gsm, septet_length

GSM_TEXT = st.text(alphabet=sorted(SEPTETS_OF))
ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


def test_table_has_the_standards_corner_characters() -> None:
    # TS 23.038 clause 6.2.1; 0x09 is the capital letter, and 0x1B is the escape.
    assert len(DEFAULT_TABLE) == 128
    assert [DEFAULT_TABLE[code] for code in (0x00, 0x09, 0x10, 0x24, 0x40, 0x5F, 0x60, 0x7F)] == list("@ÇΔ¤¡§¿à")
    assert EXTENSION_TABLE[0x65] == "€"


@pytest.mark.parametrize(
    ("text", "narrow", "expected"),
    [
        ("", Coding.GSM7, Coding.GSM7),
        ("code 1234", Coding.GSM7, Coding.GSM7),
        ("price €5 {a}", Coding.GSM7, Coding.GSM7),
        ("Ωmega", Coding.GSM7, Coding.GSM7),
        ("back`tick", Coding.GSM7, Coding.UCS2),
        ("escape \x1b", Coding.GSM7, Coding.UCS2),
        ("验证码", Coding.GSM7, Coding.UCS2),
        ("é中", Coding.GSM7, Coding.UCS2),
        ("back`tick", Coding.ASCII, Coding.ASCII),
        ("é", Coding.ASCII, Coding.UCS2),
    ],
)
def test_the_narrowest_coding_that_holds_the_text_is_chosen(text: str, narrow: Coding, expected: Coding) -> None:
    assert choose(text, narrow=narrow) is expected


@pytest.mark.parametrize(
    ("text", "coding", "octets"),
    [
        ("Hi [1] €5", Coding.GSM7, "4869201b3c311b3e201b6535"),
        ("@é", Coding.GSM7, "0005"),
        ("你好", Coding.UCS2, "4f60597d"),
        ("👍", Coding.UCS2, "d83ddc4d"),
        ("你a", Coding.GB18030, "c4e361"),
        ("你a", Coding.GBK, "c4e361"),
        ("é", Coding.LATIN1, "e9"),
        ("~`", Coding.ASCII, "7e60"),
    ],
)
def test_known_octets(text: str, coding: Coding, octets: str) -> None:
    assert encode(text, coding).hex() == octets
    assert decode(bytes.fromhex(octets), coding) == text


@pytest.mark.parametrize(
    ("text", "coding", "code", "at"),
    [
        ("ab你", Coding.GSM7, "not_in_alphabet", 2),
        ("ab`", Coding.GSM7, "not_in_alphabet", 2),
        ("é", Coding.ASCII, "not_in_alphabet", 0),
        ("a👍", Coding.GBK, "not_in_alphabet", 1),
        ("a\ud83d", Coding.UCS2, "lone_surrogate", 1),
        ("a", Coding.OCTETS, "text_as_octets", 0),
    ],
)
def test_encoding_is_strict_and_says_where(text: str, coding: Coding, code: str, at: int) -> None:
    with pytest.raises(TextError) as caught:
        encode(text, coding)
    assert (caught.value.code, caught.value.at) == (code, at)
    assert (caught.value.zh, caught.value.en) == smstext.FAULTS[code]


@pytest.mark.parametrize(
    ("octets", "coding", "code", "lenient"),
    [
        (b"ab\x80", Coding.GSM7, "octet_range", "ab\ufffd"),
        (b"a\x1b\x80", Coding.GSM7, "octet_range", "a\ufffd"),
        (b"\x1b\x65\x80", Coding.GSM7, "octet_range", "€\ufffd"),
        (b"ab\x1b", Coding.GSM7, "dangling_escape", "ab "),
        (b"\x4f\x60\x59", Coding.UCS2, "not_decodable", "你\ufffd"),
        (b"\xd8\x3d", Coding.UCS2, "not_decodable", "\ufffd"),
        (b"\xff", Coding.ASCII, "not_decodable", "\ufffd"),
    ],
)
def test_decoding_is_strict_or_lenient(octets: bytes, coding: Coding, code: str, lenient: str) -> None:
    with pytest.raises(TextError) as caught:
        decode(octets, coding)
    assert caught.value.code == code
    assert decode(octets, coding, lenient=True) == lenient


def test_escape_rules_of_the_standard() -> None:
    # Clause 6.2.1.1: an unknown code shows the main table's character, a doubled escape a space.
    assert decode_gsm(b"\x1bA\x1b\x1bB") == "A B"


def test_octets_are_shown_one_character_each() -> None:
    assert decode(bytes(range(256)), Coding.OCTETS) == "".join(map(chr, range(256)))


@pytest.mark.parametrize(
    ("value", "coding"),
    [
        (0x00, Coding.GSM7), (0x01, Coding.ASCII), (0x03, Coding.LATIN1), (0x04, Coding.OCTETS), (0x02, Coding.OCTETS),
        (0x08, Coding.UCS2), (0x0F, Coding.GB18030), (0x10, Coding.GSM7), (0x18, Coding.UCS2), (0xC0, Coding.GSM7),
        (0xD8, Coding.GSM7), (0xE0, Coding.UCS2), (0xF0, Coding.GSM7), (0xF5, Coding.OCTETS), (0xF6, Coding.OCTETS),
        (0x05, Coding.OCTETS), (0x80, Coding.OCTETS),
    ],
)  # fmt: skip
def test_data_coding_values(value: int, coding: Coding) -> None:
    assert coding_of(value) is coding


def test_zero_means_what_the_protocol_says() -> None:
    assert coding_of(0, zero=Coding.ASCII) is Coding.ASCII


@given(GSM_TEXT)
def test_gsm_round_trip_and_length(text: str) -> None:
    octets = encode(text, Coding.GSM7)
    assert decode(octets, Coding.GSM7) == text
    assert septet_length(text) == len(octets)
    assert is_gsm(text)


@given(ANY_TEXT, st.sampled_from([Coding.UCS2, Coding.GB18030]))
def test_wide_round_trip(text: str, coding: Coding) -> None:
    assert decode(encode(text, coding), coding) == text


@given(ANY_TEXT)
def test_gsm_membership_is_exact(text: str) -> None:
    assert is_gsm(text) == all(char in SEPTETS_OF for char in text)


@given(st.binary(max_size=300), st.sampled_from(list(Coding)))
def test_any_octets_decode_leniently_and_strictly_only_the_declared_error(octets: bytes, coding: Coding) -> None:
    assert isinstance(decode(octets, coding, lenient=True), str)
    with contextlib.suppress(TextError):  # anything else fails the test
        decode(octets, coding)
