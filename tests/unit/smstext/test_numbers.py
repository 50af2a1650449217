"""Numbers: one canonical form, carriers by the segment table, a reason for every refusal, masks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smstext import (
    REASONS,
    SEGMENTS,
    Carrier,
    Kind,
    NumberError,
    carrier_of,
    kind_of,
    mask,
    normalise,
    normalise_many,
    parse,
    valid_port,
)
from smstext.segment_table import SegmentTable


@pytest.mark.parametrize(
    "written",
    ["13800138000", "138 0013 8000", "+8613800138000", "+86 138-0013-8000", "008613800138000", "0086-13800138000",
     "8613800138000",
     "８６１３８００１３８０００", "＋86 138\u30000013\u00a08000", "\t13800138000\n", "(+86)13800138000"],
)  # fmt: skip
def test_every_way_of_writing_a_number_is_one_number(written: str) -> None:
    assert normalise(written) == 8613800138000
    result = normalise_many([written, "13800138000"])
    assert list(result.numbers) == [8613800138000] * 2
    assert result.rejected == []


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "empty"), ("   ", "empty"), ("abc", "malformed"), ("1380013800x", "malformed"), ("+", "malformed"),
        ("++8613800138000", "malformed"), ("1380013800", "bad_length"), ("138001380001", "bad_length"),
        ("9" * 60, "bad_length"), ("+14155552671", "foreign"), ("0014155552671", "foreign"), ("+8512345678", "foreign"),
        ("14001234567", "not_allocated"), ("15401234567", "not_allocated"), ("16101234567", "not_allocated"),
        ("1420123456789", "not_allocated"), ("16191234567", "unroutable"), ("17406123456", "unroutable"),
        ("17491234567", "unroutable"), ("0571-88888888", "fixed_line"), ("(010)66668888", "fixed_line"),
        ("+86 571 8888 8888", "fixed_line"), ("+861066668888", "fixed_line"), ("95598", "service_number"),
        ("10657109012345", "service_number"), ("4006695598", "service_number"), ("12306", "service_number"),
        ("１３８٣٣٣٣٣٣٣٣", "malformed"), ("12345678901", "bad_length"),
    ],
)  # fmt: skip
def test_every_refusal_has_its_reason(written: str, reason: str) -> None:
    with pytest.raises(NumberError) as caught:
        normalise(written)
    assert caught.value.reason == reason
    assert (caught.value.zh, caught.value.en) == REASONS[reason]
    assert normalise_many(["13800138000", written]).rejected == [(1, reason)]


@pytest.mark.parametrize(
    ("written", "carrier", "kind"),
    [
        ("13400000000", Carrier.CMCC, Kind.MOBILE), ("13480000000", Carrier.CMCC, Kind.MOBILE),
        ("13491234567", Carrier.CTCC, Kind.SATELLITE), ("17400123456", Carrier.CTCC, Kind.SATELLITE),
        ("17405123456", Carrier.CTCC, Kind.SATELLITE), ("14712345678", Carrier.CMCC, Kind.DATA_CARD),
        ("14512345678", Carrier.CUCC, Kind.DATA_CARD), ("14912345678", Carrier.CTCC, Kind.DATA_CARD),
        ("19212345678", Carrier.CBN, Kind.MOBILE), ("16512345678", Carrier.CMCC, Kind.VIRTUAL),
        ("17031234567", Carrier.CMCC, Kind.VIRTUAL), ("17041234567", Carrier.CUCC, Kind.VIRTUAL),
        ("17001234567", Carrier.CTCC, Kind.VIRTUAL), ("17112345678", Carrier.CUCC, Kind.VIRTUAL),
        ("18612345678", Carrier.CUCC, Kind.MOBILE), ("18912345678", Carrier.CTCC, Kind.MOBILE),
        ("1440123456789", Carrier.CMCC, Kind.IOT), ("1410123456789", Carrier.CTCC, Kind.IOT),
        ("1064612345678", Carrier.CUCC, Kind.IOT), ("14612345678", Carrier.CUCC, Kind.IOT),
    ],
)  # fmt: skip
def test_carriers_and_kinds(written: str, carrier: Carrier, kind: Kind) -> None:
    number = normalise(written)
    assert number == int("86" + written)
    assert carrier_of(number) is carrier
    assert kind_of(number) is kind
    assert parse(written) == (kind, number)
    assert normalise_many([written]).carriers == bytes([carrier])


# The longest-prefix table of the protocol reference, section 11, written out a second time.
REFERENCE = {
    Carrier.CMCC: "1340-1348 135 136 137 138 139 147 148 150 151 152 157 158 159 165 1703 1705 1706 172 178 182 183"
    " 184 187 188 195 197 198",
    Carrier.CUCC: "130 131 132 145 146 155 156 166 167 1704 1707 1708 1709 171 175 176 185 186 196",
    Carrier.CTCC: "133 1349 149 153 162 1700 1701 1702 173 17400-17405 177 180 181 189 190 191 193 199",
    Carrier.CBN: "192",
    Carrier.OTHER: "1619 17406-17409 17410-17412 1749",
}


def test_the_table_is_the_references_table_and_nothing_else() -> None:
    expected = bytearray(100_000)
    for carrier, prefixes in REFERENCE.items():
        for item in prefixes.split():
            low, _, high = item.partition("-")
            for prefix in range(int(low), int(high or low) + 1):
                for rest in range(10 ** (5 - len(low))):
                    expected[prefix * 10 ** (5 - len(low)) + rest] = carrier
    assert SEGMENTS.carriers == bytes(expected)
    assert SEGMENTS.version == "2023-03-31"
    assert "MIIT" in SEGMENTS.source


@pytest.mark.parametrize("prefix", ["134-", "1349-1340", "134-1349", "134567", "13x"])
def test_a_bad_row_is_named(prefix: str) -> None:
    with pytest.raises(ValueError, match="bad prefix"):
        SegmentTable(f'version="1"\nsource="t"\niot=[]\nnumbers=[["{prefix}","CMCC","mobile"]]' if prefix != "134-" else
                     'version="1"\nsource="t"\niot=[]\nnumbers=[["-134","CMCC","mobile"]]')  # fmt: skip


def test_a_clean_batch_and_a_mixed_batch_agree() -> None:
    clean = ["13800138000", "16191234567", "14001234567", "18612345678", "17001234567"]
    fast = normalise_many(clean)
    slow = normalise_many([f"+86{number}" for number in clean])
    assert fast == slow
    assert list(fast.numbers) == [8613800138000, 0, 0, 8618612345678, 8617001234567]
    assert fast.carriers == bytes([1, 0, 0, 2, 3])
    assert fast.rejected == [(1, "unroutable"), (2, "not_allocated")]
    assert fast.letters() == "MXXUV"
    assert normalise_many([]).letters() == ""


def test_letters_of_every_carrier() -> None:
    numbers = ["13800138000", "13012345678", "18912345678", "19212345678", "17112345678", "95598", "1440123456789"]
    assert normalise_many(numbers).letters() == "MUTBVXM"


def test_numbers_that_add_up_to_the_right_length_are_not_taken_for_clean() -> None:
    assert normalise_many(["1380013800", "138001380000"]).rejected == [(0, "bad_length"), (1, "bad_length")]


def test_portability_overrides_only_what_can_be_ported() -> None:
    ported = {8613800138000: Carrier.CTCC, 8617001234567: Carrier.CMCC}
    result = normalise_many(["13800138000", "17001234567", "13800138001"], ported)
    assert result.carriers == bytes([Carrier.CTCC, Carrier.CTCC, Carrier.CMCC])
    assert carrier_of(8613800138000, ported) is Carrier.CTCC
    assert carrier_of(8617001234567, ported) is Carrier.CTCC
    assert carrier_of(8613800138001, ported) is Carrier.CMCC


@pytest.mark.parametrize("number", [0, 1, 95598, 8657188888888, 10**18, -5, 861500000000000000])
def test_other_integers_have_no_carrier(number: int) -> None:
    assert carrier_of(number) is Carrier.UNKNOWN
    assert kind_of(number) is Kind.UNALLOCATED


@pytest.mark.parametrize(
    ("port", "valid"),
    [("95598", True), ("106", True), ("1" * 21, True), ("1" * 22, False), ("12", False), ("", False), ("1065x", False),
     ("１０６５", False), ("95598\n", False)],
)  # fmt: skip
def test_ports(port: str, valid: bool) -> None:
    assert valid_port(port) is valid


@pytest.mark.parametrize(
    ("number", "masked"),
    [(8613800130001, "138****0001"), ("13800130001", "138****0001"), ("+8613800130001", "138****0001"),
     (861440123456789, "144****6789"), ("57188888888", "571****8888"), ("8888888", "88****88"), ("95598", "95598"),
     ("hello", "****"), ("", "****"), ("٣٣٣٣٣٣٣٣٣٣٣", "****")],
)  # fmt: skip
def test_masks(number: int | str, masked: str) -> None:
    assert mask(number) == masked


@given(st.text(max_size=50))
def test_any_text_is_a_number_or_has_a_reason(text: str) -> None:
    result = normalise_many([text])
    assert (result.numbers[0] == 0) == bool(result.rejected)
    if result.rejected:
        assert result.rejected[0][1] in REASONS
    else:
        assert normalise(text) == result.numbers[0]
        assert normalise(str(result.numbers[0])) == result.numbers[0]


@given(st.lists(st.integers(10**10, 2 * 10**10 - 1).map(str), max_size=40))
def test_batches_agree_with_single_numbers(numbers: list[str]) -> None:
    result = normalise_many(numbers)
    refused = dict(result.rejected)
    for index, number in enumerate(numbers):
        if index in refused:
            with pytest.raises(NumberError) as caught:
                normalise(number)
            assert caught.value.reason == refused[index]
        else:
            assert normalise(number) == result.numbers[index]
            assert carrier_of(result.numbers[index]) == result.carriers[index]
