"""Addresses: every type, both length conventions, fillers, names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsm import Address, GsmError, address_of
from gsm.address import decode_address, decode_centre, encode_address, encode_centre
from gsm.reader import Reader
from smstext.alphabet import SEPTETS_OF

DIGITS = st.text(alphabet="0123456789*#abc", max_size=20)
NAMES = st.text(alphabet=sorted(char for char, code in SEPTETS_OF.items() if len(code) == 1), max_size=11)


@pytest.mark.parametrize(
    ("written", "octets", "ton", "npi"),
    [
        ("+8613800000000", "0d91683108000000f0", 1, 1),
        ("10086", "05810180f6", 0, 1),
        ("*10#", "04811ab0", 0, 1),
        ("SGCC", "07d0d3e37008", 5, 0),
    ],
)
def test_known_octets(written: str, octets: str, ton: int, npi: int) -> None:
    address = address_of(written)
    assert (address.ton, address.npi) == (ton, npi)
    assert encode_address(address).hex() == octets
    decoded = decode_address(Reader(bytes.fromhex(octets)), "TP-DA")
    assert decoded == address
    assert str(decoded) == written


@given(DIGITS, st.integers(0, 255).filter(lambda kind: kind >> 4 & 7 != 5))
def test_digits_round_trip_with_their_type(digits: str, kind: int) -> None:
    address = Address(digits, kind)
    assert decode_address(Reader(encode_address(address)), "") == address
    assert decode_centre(Reader(encode_centre(address))) == address


@given(NAMES)
def test_names_round_trip(name: str) -> None:
    octets = encode_address(Address(name, 0xD0))
    assert octets[0] == (7 * len(name) + 3) // 4
    assert decode_address(Reader(octets), "").number == name


def test_fillers_are_dropped_wherever_they_stand() -> None:
    assert decode_address(Reader(bytes.fromhex("0481f1f2")), "").number == "12"
    assert decode_centre(Reader(bytes.fromhex("0391f1f2"))) == Address("12", 0x91)


def test_no_centre() -> None:
    assert encode_centre(None) == b"\0"
    assert decode_centre(Reader(b"\0")) is None


@pytest.mark.parametrize(
    ("address", "code"),
    [
        (Address("1" * 21), "address_too_long"),
        (Address("12x"), "address_invalid"),
        (Address("你好", 0xD0), "address_invalid"),
        (Address("A" * 12, 0xD0), "address_too_long"),
        (Address("1", 256), "field_range"),
    ],
)
def test_encoding_is_strict(address: Address, code: str) -> None:
    with pytest.raises(GsmError) as caught:
        encode_address(address)
    assert caught.value.code == code
    if address.ton != 5:
        with pytest.raises(GsmError) as caught:
            encode_centre(address)
        assert caught.value.code == code


def test_a_name_above_eleven_characters_and_an_empty_one() -> None:
    assert address_of("") == Address("", 0xD0)
    with pytest.raises(GsmError):
        encode_address(address_of("Twelve chars"))
