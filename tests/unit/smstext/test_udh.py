"""The user data header: built strictly, read leniently, never losing an octet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smstext import Concat, TextError, split_header
from smstext.udh import concat_element, header, ports_element


def test_known_headers() -> None:
    assert header(concat_element(0xA7, 2, 1)).hex() == "050003a70201"
    assert header(concat_element(0xBEEF, 3, 2, 16)).hex() == "060804beef0302"
    assert header(ports_element(2948, 9200)).hex() == "0605040b8423f0"
    assert header(ports_element(0xF0, 0xF1, 8)).hex() == "040402f0f1"
    assert header(b"") == b""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((0, 0, 1), "part_range"), ((0, 2, 0), "part_range"), ((0, 2, 3), "part_range"), ((0, 256, 1), "part_range"),
        ((256, 2, 1), "reference_range"), ((65536, 2, 1, 16), "reference_range"), ((-1, 2, 1), "reference_range"),
        ((0, 2, 1, 12), "width_invalid"),
    ],
)  # fmt: skip
def test_a_concatenation_element_is_checked(arguments: tuple[int, ...], code: str) -> None:
    with pytest.raises(TextError) as caught:
        concat_element(*arguments)
    assert caught.value.code == code


def test_ports_and_length_are_checked() -> None:
    with pytest.raises(TextError, match="reference"):
        ports_element(70000, 1)
    with pytest.raises(TextError, match="reference"):
        ports_element(256, 1, 8)
    with pytest.raises(TextError, match="width"):
        ports_element(1, 1, 12)
    with pytest.raises(TextError) as caught:
        header(bytes(140))
    assert caught.value.code == "header_too_long"


@given(
    st.lists(st.tuples(st.integers(9, 255), st.binary(max_size=8)), max_size=5),
    st.integers(0, 65535),
    st.integers(1, 255),
    st.binary(max_size=20),
)
def test_what_is_built_is_read_with_unknown_elements_kept(
    others: list[tuple[int, bytes]], reference: int, total: int, content: bytes
) -> None:
    elements = b"".join(bytes((iei, len(value))) + value for iei, value in others)
    found, rest = split_header(header(elements + concat_element(reference, total, 1, 16)) + content, lenient=False)
    assert rest == content
    assert found.concat == Concat(reference, total, 1, 16)
    assert list(found.elements[:-1]) == others


def test_both_port_elements_and_the_last_repeated_one_counts() -> None:
    found, rest = split_header(bytes.fromhex("0a0402f0f105040b8423f0") + b"x")
    assert (found.ports, rest) == ((2948, 9200), b"x")
    assert split_header(bytes.fromhex("040402f0f1"))[0].ports == (0xF0, 0xF1)
    found, _ = split_header(bytes.fromhex("0a0003010201" + "0003020201"))
    assert found.concat == Concat(2, 2, 1, 8)


@pytest.mark.parametrize("element", ["0003010001", "0003010200", "0003010203", "00020102", "0803010203"])
def test_an_impossible_concatenation_is_ignored(element: str) -> None:
    octets = bytes.fromhex(element)
    found, _ = split_header(bytes((len(octets),)) + octets)
    assert found.concat is None
    assert not found.malformed


@pytest.mark.parametrize(
    ("octets", "content", "at"),
    [("", "", 0), ("05", "05", 0), ("ff0102", "ff0102", 0), ("0500040102" + "03" + "aa", "aa", 1), ("0100aa", "aa", 1)],
)
def test_lengths_that_disagree(octets: str, content: str, at: int) -> None:
    found, rest = split_header(bytes.fromhex(octets))
    assert found.malformed
    assert found.elements == ()
    assert rest.hex() == content
    with pytest.raises(TextError) as caught:
        split_header(bytes.fromhex(octets), lenient=False)
    assert (caught.value.code, caught.value.at) == ("header_malformed", at)


@given(st.binary(max_size=160))
def test_any_octets_are_read(data: bytes) -> None:
    found, rest = split_header(data)
    assert data[found.size :] == rest
