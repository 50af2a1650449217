"""TP-DCS, times, validity, identifiers and codes: the tables of the standard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsm import Action, Delivery, GsmError, Timestamp, action_of, delivery_of, is_final, relative_validity, timestamp_of
from gsm.codes import CMS_ERROR, FAILURE_CAUSE, STATUS, cms_of
from gsm.dcs import DataCoding, Indication, build_dcs, indication_dcs, parse_dcs
from gsm.pid import pid_name, replace_type
from gsm.times import decode_timestamp, encode_timestamp, enhanced_duration, enhanced_seconds, validity_minutes
from smstext import Coding

TIMES = st.builds(
    Timestamp,
    *([st.integers(0, 99)] * 6),
    quarters=st.integers(0, 79),
    west=st.booleans(),
)


@pytest.mark.parametrize(
    ("octet", "expected"),
    [
        (0x00, DataCoding(Coding.GSM7)), (0x04, DataCoding(Coding.OCTETS)), (0x08, DataCoding(Coding.UCS2)),
        (0x0C, DataCoding(Coding.GSM7)), (0x10, DataCoding(Coding.GSM7, 0)), (0x18, DataCoding(Coding.UCS2, 0)),
        (0x03, DataCoding(Coding.GSM7)), (0x20, DataCoding(Coding.GSM7, compressed=True)),
        (0x48, DataCoding(Coding.UCS2, auto_delete=True)), (0x80, DataCoding(Coding.GSM7)),
        (0xB5, DataCoding(Coding.GSM7)), (0xF0, DataCoding(Coding.GSM7, 0)), (0xF5, DataCoding(Coding.OCTETS, 1)),
        (0xF6, DataCoding(Coding.OCTETS, 2)), (0xC8, DataCoding(Coding.GSM7, indication=Indication(0, True, False))),
        (0xD1, DataCoding(Coding.GSM7, indication=Indication(1, False, True))),
        (0xEA, DataCoding(Coding.UCS2, indication=Indication(2, True, True))),
    ],
)  # fmt: skip
def test_data_coding(octet: int, expected: DataCoding) -> None:
    assert parse_dcs(octet) == expected


@given(st.sampled_from([Coding.GSM7, Coding.OCTETS, Coding.UCS2]), st.sampled_from([None, 0, 1, 2, 3]), st.booleans())
def test_built_coding_parses_back(coding: Coding, message_class: int | None, auto_delete: bool) -> None:
    found = parse_dcs(build_dcs(coding, message_class, auto_delete=auto_delete))
    assert (found.coding, found.message_class, found.auto_delete) == (coding, message_class, auto_delete)


@given(
    st.builds(Indication, st.integers(0, 3), st.booleans(), st.booleans()), st.sampled_from([Coding.GSM7, Coding.UCS2])
)
def test_built_indication_parses_back(indication: Indication, coding: Coding) -> None:
    if coding is Coding.UCS2 and not indication.store:
        with pytest.raises(GsmError):
            indication_dcs(indication, coding)
    else:
        found = parse_dcs(indication_dcs(indication, coding))
        assert (found.indication, found.coding) == (indication, coding)


def test_coding_is_strict() -> None:
    with pytest.raises(GsmError, match="out of range"):
        build_dcs(Coding.GBK)
    with pytest.raises(GsmError, match="out of range"):
        build_dcs(Coding.UCS2, 4)
    with pytest.raises(GsmError, match="out of range"):
        indication_dcs(Indication(4, True, True))


@given(TIMES)
def test_time_stamps_round_trip_on_the_wire_and_as_text(time: Timestamp) -> None:
    octets = encode_timestamp(time)
    assert len(octets) == 7
    assert decode_timestamp(octets) == time
    assert timestamp_of(str(time)) == time


def test_known_time() -> None:
    octets = bytes.fromhex("03102030405023")
    assert str(decode_timestamp(octets)) == "2030-01-02T03:04:05+08:00"
    assert decode_timestamp(bytes.fromhex("0310203040500a")).west
    # Letters among the digits count 0.
    assert str(decode_timestamp(bytes.fromhex("fa1f2030405023"))) == "2000-01-02T03:04:05+08:00"


@pytest.mark.parametrize(
    "text", ["", "2030-01-02", "1930-01-02T03:04:05+08:00", "2030-01-02T03:04:05+08:10", "2030-01-02T03:04:05Z"]
)
def test_bad_time_text(text: str) -> None:
    with pytest.raises(GsmError) as caught:
        timestamp_of(text)
    assert caught.value.code == "time_invalid"


@pytest.mark.parametrize(
    "time", [Timestamp(100, 1, 1, 1, 1, 1), Timestamp(1, -1, 1, 1, 1, 1), Timestamp(1, 1, 1, 1, 1, 1, 80)]
)
def test_bad_time(time: Timestamp) -> None:
    with pytest.raises(GsmError):
        encode_timestamp(time)


def test_relative_validity_table() -> None:
    assert [validity_minutes(value) for value in (0, 143, 144, 167, 168, 170, 173, 196, 197, 255)] == [
        5, 720, 750, 1440, 2880, 5760, 10080, 43200, 50400, 635040,
    ]  # fmt: skip
    for value in range(256):
        assert relative_validity(validity_minutes(value)) == value


@given(st.floats(0, 700_000))
def test_relative_validity_is_the_smallest_that_lasts(minutes: float) -> None:
    value = relative_validity(minutes)
    assert validity_minutes(value) >= minutes or value == 255
    assert value == 0 or validity_minutes(value - 1) < minutes


@pytest.mark.parametrize(
    ("seconds", "octets"),
    [(30, "021e0000000000"), (255, "02ff0000000000"), (3661, "03101010000000"), (359999, "03999595000000")],
)
def test_enhanced_validity(seconds: int, octets: str) -> None:
    assert enhanced_seconds(seconds).hex() == octets
    assert enhanced_duration(bytes.fromhex(octets)) == seconds
    assert enhanced_seconds(seconds, single_shot=True)[0] & 0x40


def test_enhanced_validity_of_other_formats() -> None:
    assert enhanced_duration(bytes.fromhex("01a70000000000")) == 24 * 3600
    assert enhanced_duration(bytes(7)) is None
    assert enhanced_duration(bytes.fromhex("07000000000000")) is None
    for seconds in (0, -1, 360000):
        with pytest.raises(GsmError):
            enhanced_seconds(seconds)


@pytest.mark.parametrize(
    ("octet", "name"),
    [(0, "plain"), (1, "SME to SME protocol"), (0x24, "voice telephone"), (0x29, "teletex"), (0x38, "SC specific"),
     (0x41, "replace short message type 1"), (0x47, "replace short message type 7"), (0x4A, "reserved"),
     (0x7F, "(U)SIM data download"), (0x90, "reserved"), (0xC5, "SC specific")],
)  # fmt: skip
def test_protocol_identifiers(octet: int, name: str) -> None:
    assert pid_name(octet) == name


def test_replace_types() -> None:
    assert replace_type(3) == 0x43
    for number in (0, 8):
        with pytest.raises(GsmError):
            replace_type(number)


@pytest.mark.parametrize(
    ("status", "delivery", "final"),
    [(0x00, Delivery.DELIVERED, True), (0x01, Delivery.DELIVERED, True), (0x1F, Delivery.DELIVERED, True),
     (0x20, Delivery.TRYING, False), (0x3F, Delivery.TRYING, False), (0x40, Delivery.FAILED, True),
     (0x46, Delivery.EXPIRED, True), (0x65, Delivery.FAILED, True), (0x80, Delivery.FAILED, True),
     (0xFF, Delivery.FAILED, True)],
)  # fmt: skip
def test_status(status: int, delivery: Delivery, final: bool) -> None:
    assert delivery_of(status) is delivery
    assert is_final(status) is final


@pytest.mark.parametrize(
    ("code", "action"),
    [(None, Action.RETRY), (42, Action.RETRY), (192, Action.RETRY), (512, Action.RETRY), (999, Action.RETRY),
     (322, Action.CLEAN), (310, Action.STOP), (316, Action.STOP), (1, Action.FAIL), (304, Action.FAIL),
     (196, Action.FAIL)],
)  # fmt: skip
def test_actions(code: int | None, action: Action) -> None:
    assert action_of(code) is action


def test_tables_name_their_codes() -> None:
    assert STATUS[0x46] == "validity period expired"
    assert CMS_ERROR[0xC3] == FAILURE_CAUSE[0xC3] == "invalid SME address"


@pytest.mark.parametrize(
    ("kind", "code", "expected"),
    [("CMS", 10, 10), ("CME", 10, 310), ("CME", 30, 331), ("CME", 99, None), ("CME", 310, 310), ("", None, None)],
)
def test_cme_errors_are_read_as_what_means_the_same(kind: str, code: int | None, expected: int | None) -> None:
    assert cms_of(kind, code) == expected
