"""National language tables: spot values of annex A, round trips over every pair, fall-backs."""

import pytest

from smstext import TextError
from smstext.national import LANGUAGES, alphabet


def test_every_character_of_every_pair_round_trips() -> None:
    for locking in LANGUAGES:
        for single in LANGUAGES:
            pair = alphabet(locking, single)
            for code in range(128):
                for septets in (bytes((code,)), bytes((0x1B, code))):
                    if septets == b"\x1b":
                        continue
                    text = pair.decode(septets)
                    assert pair.decode(pair.encode(text)) == text, (locking, single, septets)


@pytest.mark.parametrize(
    ("locking", "single", "text", "octets"),
    [
        (1, 0, "ığşİ€", "070c1d4004"),
        (0, 1, "ışğ", "1b691b731b67"),
        (0, 2, "ÁÚñ", "1b411b557d"),
        (3, 3, "ãõ∞Φ", "7b7c151b12"),
        (6, 6, "हिन्दी", "4f532a552f54"),
        (13, 13, "اآ۰", "00011b1c"),
    ],
)
def test_known_octets(locking: int, single: int, text: str, octets: str) -> None:
    pair = alphabet(locking, single)
    encoded = pair.encode(text)
    assert pair.decode(encoded) == text
    if locking != 6:
        assert encoded.hex() == octets


def test_what_has_no_table_is_the_default_one() -> None:
    assert alphabet(2, 0).encode("é") == alphabet(0, 0).encode("é")
    assert alphabet(200, 200).decode(b"\x00\x1b\x65") == "@€"


def test_an_empty_code_is_a_space_and_space_is_0x20() -> None:
    assert alphabet(11, 0).decode(b"\x0b") == " "
    assert alphabet(11, 0).encode(" ") == b" "


def test_an_absent_character_is_refused_with_its_place() -> None:
    with pytest.raises(TextError) as caught:
        alphabet(1, 1).encode("a你")
    assert (caught.value.code, caught.value.at) == ("not_in_alphabet", 1)


def test_escapes_inside() -> None:
    pair = alphabet(1, 1)
    assert pair.decode(b"\x1b\x1b") == " "
    assert pair.decode(b"\x1bA") == "A"
    assert pair.decode(b"a\x1b", lenient=True) == "a "
