import pytest

from carrier.dialect import Limits
from carrier.errors import CarrierError
from carrier.ids import IdMode, candidates, canonical
from carrier.keepalive import Due, Keepalive
from carrier.model import Mo, Report, ReportState, Submit
from carrier.timetext import absolute, compact, login_stamp, stamp_distance
from carrier.wiretext import cut, number, octets

MOMENT = 1_767_294_245.0  # 2026-01-02 03:04:05 in China


def test_times_are_chinas():
    assert absolute(MOMENT) == "260102030405032+"
    assert compact(MOMENT) == "2601020304"
    assert login_stamp(MOMENT) == 102030405


@pytest.mark.parametrize(
    ("stamp", "away"),
    [(102030405, 0.0), (102030415, 10.0), (1231235959, 97446.0), (1332030405, None), (2_029_010_101, None)],
)
def test_the_distance_of_a_login_time_crosses_the_year(stamp, away):
    assert stamp_distance(stamp, MOMENT) == away


def test_a_leap_day_is_a_day_only_near_a_leap_year():
    assert stamp_distance(229000000, 1_835_366_400.0) is not None  # early 2028
    assert stamp_distance(229000000, 1_767_294_245.0 + 86400 * 30) is None  # 2025 to 2027


@pytest.mark.parametrize(
    ("raw", "wanted"), [("00AB", "ab"), (" 7 ", "7"), ("000", "0"), ("", ""), ("0", "0"), ("12\0", "12")]
)
def test_canonical_ids(raw, wanted):
    assert canonical(raw) == wanted


@pytest.mark.parametrize(
    ("raw", "mode", "wanted"),
    [
        ("", IdMode.AUTO, ()),
        ("00ff", IdMode.EXACT, ("ff",)),
        ("ff", IdMode.AUTO, ("ff", "255")),
        ("255", IdMode.AUTO, ("255", "ff", "597")),
        ("7", IdMode.AUTO, ("7",)),
        ("ff", IdMode.HEX_TO_DEC, ("255", "ff")),
        ("255", IdMode.DEC_TO_HEX, ("ff", "255")),
        ("ff", IdMode.DEC_TO_HEX, ("ff",)),
        ("not-hex", IdMode.AUTO, ("not-hex",)),
        ("9" * 5000, IdMode.AUTO, ("9" * 5000,)),
    ],
)
def test_candidates(raw, mode, wanted):
    assert candidates(raw, mode) == wanted


@pytest.mark.parametrize("value", range(0, 70_000, 977))
def test_every_notation_of_an_id_finds_it(value):
    for sent in (f"{value:x}", f"{value:08X}", str(value), f"{value:010d}"):
        for told in (f"{value:x}", f"{value:08x}", str(value), f"{value:012d}"):
            assert canonical(sent) in candidates(told)


def test_text_on_the_wire():
    assert octets("é", 1, "x") == b"\xe9"
    assert cut(b"ab\0cd") == "ab"
    assert cut(b"ab") == "ab"
    assert number("fF", 1, "x") == 255
    for bad in ("", "-1", "+1", "0x", "1_0", "fff", "g", "１"):
        with pytest.raises(CarrierError):
            number(bad, 1, "x")


def test_a_keepalive_forgets_its_tries_when_it_hears():
    alive = Keepalive(Limits(keepalive_idle=10.0, response=5.0, keepalive_tries=1), 0.0)
    assert (alive.deadline(), alive.due(9.0)) == (10.0, Due.NOTHING)
    assert alive.due(10.0) is Due.ASK
    assert (alive.deadline(), alive.due(14.0)) == (15.0, Due.NOTHING)
    alive.heard(14.5)
    assert alive.deadline() == 24.5
    assert alive.due(24.5) is Due.ASK
    assert alive.due(29.5) is Due.DEAD


def test_idle_ends_whatever_the_keepalive_says():
    alive = Keepalive(Limits(keepalive_idle=100.0, idle_close=60.0), 0.0)
    assert alive.deadline() == 60.0
    alive.sent(50.0)
    assert alive.deadline() == 100.0
    assert alive.due(110.0) is Due.IDLE


@pytest.mark.parametrize(
    ("thing", "shown"),
    [
        (Submit("95598", "13800000001", b"private"), "Submit(95598 -> 138****0001, 7 octets, part 1/1)"),
        (Mo("13800000001", "95598", b"private"), "Mo(138****0001 -> 95598, 7 octets)"),
        (
            Report("7", ReportState.EXPIRED, True, "EXPIRED", "5", "13800000001", text="private", raw=b"private"),
            "Report(7, expired 'EXPIRED' '5', 138****0001)",
        ),
    ],
)
def test_reprs_are_fit_for_a_log(thing, shown):
    assert repr(thing) == shown
