"""Packing into 7 bits, against the standard's examples and a slow model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smstext import TextError
from smstext.septets import header_septets, pack, unpack

SEPTETS = st.binary(max_size=160).map(lambda octets: bytes(octet & 0x7F for octet in octets))


def slow_pack(septets: bytes, fill: int) -> bytes:
    stream = sum(septet << (7 * at + fill) for at, septet in enumerate(septets))
    return stream.to_bytes((7 * len(septets) + fill + 7) // 8, "little")


@given(SEPTETS, st.integers(0, 6))
def test_pack_is_the_bit_stream_of_the_standard(septets: bytes, fill: int) -> None:
    packed = pack(septets, fill=fill)
    assert packed == slow_pack(septets, fill)
    assert unpack(packed, len(septets), fill=fill) == septets


def test_known_packing() -> None:
    assert pack(b"hellohello").hex() == "e8329bfd4697d9ec37"
    assert pack(b"ABCD", fill=1).hex() == "82c22111"  # reference 6.13 (b)
    assert pack(b"") == b""


def test_exactly_the_count_is_unpacked() -> None:
    # Seven septets leave seven spare zero bits, which must not become a commercial at.
    assert unpack(pack(b"1234567"), 7) == b"1234567"


@pytest.mark.parametrize(("octets", "count", "fill"), [(b"", 1, 0), (b"\x01", 2, 0), (b"\x01", 1, 2)])
def test_too_few_octets(octets: bytes, count: int, fill: int) -> None:
    with pytest.raises(TextError) as caught:
        unpack(octets, count, fill=fill)
    assert caught.value.code == "too_few_octets"


def test_a_septet_has_seven_bits() -> None:
    with pytest.raises(TextError) as caught:
        pack(b"a\x80")
    assert (caught.value.code, caught.value.at) == ("octet_range", 1)


@pytest.mark.parametrize(("octets", "septets", "fill"), [(6, 7, 1), (7, 8, 0), (1, 2, 6), (12, 14, 2), (0, 0, 0)])
def test_header_septets(octets: int, septets: int, fill: int) -> None:
    # TS 23.040 figure 9.2.3.24 (a): 6 octets take 7 septets with one fill bit.
    assert header_septets(octets) == (septets, fill)
