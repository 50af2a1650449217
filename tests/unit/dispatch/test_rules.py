"""Small pure decisions: routes, quiet hours, opt-out words, back-off, links files, ids, wire times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrier.dialects import dialect
from carrier.ids import IdMode
from contracts.chunk import Chunk, Entry
from contracts.lanes import Lane
from dispatch.domain.book import Book, same_number
from dispatch.domain.linkconfig import LinkConfigError, parse_links
from dispatch.domain.optout import DEFAULT_WORDS, announced_words, opt_out_word, word_set
from dispatch.domain.outcomes import wire_time_ms
from dispatch.domain.quiet import QuietHours
from dispatch.domain.routing import RouteLink, RouteTable, letters_of, may_serve
from dispatch.domain.rules import (
    Rule,
    reconnect_delay_s,
    rule_of,
    temporary_delay_ms,
    throttle_delay_ms,
    uncertain_delay_ms,
)
from dispatch.domain.wire import TextError, Writer
from dispatch.domain.work import Flight, Head, Release, Work
from dispatch.handlers.recovery import unanswered


def link(name: str, letters: str, rank: int = 0, active: bool = True, group: str = "") -> RouteLink:
    return RouteLink(name, group or f"@{letters}", rank, letters, active)


def test_a_message_goes_to_the_most_specific_group():
    table = RouteTable([link("all", "MUTBV"), link("m", "M")])
    assert table.route("M").links == ("m",)
    assert table.route("U").links == ("all",)
    assert table.route("F").group == ""
    assert table.split("MUMF", None) == {"@M": [0, 2], "@MUTBV": [1], "": [3]}
    assert table.split("MUMF", [1, 3]) == {"@MUTBV": [1], "": [3]}


def test_a_suspended_group_gives_way_to_another():
    table = RouteTable([link("all", "MUTBV"), link("m", "M", active=False)])
    assert table.route("M").links == ("all",)
    alone = RouteTable([link("m", "M", active=False)])
    assert alone.route("M").links == ("m",)
    assert "waits" in alone.route("M").reason


def test_fail_over_is_by_rank_and_equal_ranks_share():
    table = RouteTable([link("a", "M", 0), link("b", "M", 1), link("c", "M", 1)])
    assert [may_serve(table, "@M", n, {"a": True, "b": True, "c": True}) for n in "abc"] == [True, False, False]
    assert [may_serve(table, "@M", n, {"a": False, "b": True, "c": True}) for n in "abc"] == [True, True, True]


def test_carriers_are_names_or_letters():
    assert letters_of(["CTCC", "m"]) == "MT"
    assert letters_of([]) == "MUTBV"
    with pytest.raises(ValueError, match="unknown carrier"):
        letters_of(["ATT"])


@pytest.mark.parametrize(
    ("local", "ends"), [("20:59", None), ("21:00", "08:00"), ("23:59", "08:00"), ("07:59", "08:00"), ("08:00", None)]
)
def test_quiet_hours_over_midnight(local, ends):
    hours, minutes = map(int, local.split(":"))
    midnight = 1_790_000_000_000 - 1_790_000_000_000 % 86_400_000 - 8 * 3_600_000
    now = midnight + (hours * 60 + minutes) * 60_000
    until = QuietHours.parse("21:00-08:00").ends_at(now)
    if ends is None:
        assert until == 0
    else:
        assert until > now
        assert (until - midnight) % 86_400_000 == 8 * 3_600_000


@given(st.integers(0, 1439), st.integers(0, 1439), st.integers(1_700_000_000_000, 1_900_000_000_000))
def test_the_end_of_quiet_time_is_not_quiet(begin, end, now):
    hours = QuietHours(begin, end)
    until = hours.ends_at(now)
    assert until == 0 or (now < until <= now + 86_400_000 and hours.ends_at(until) == 0)


@pytest.mark.parametrize("text", ["T", " td ", "ＴＤ", "退订", "退订。", "0000", "n", "r!"])
def test_opt_out_words(text):
    assert opt_out_word(text, word_set(DEFAULT_WORDS))


@pytest.mark.parametrize("text", ["", "TT", "我不想退订", "T恤多少钱", "00000", "退订" * 40, "td 谢谢"])
def test_no_opt_out_words(text):
    assert not opt_out_word(text, word_set(DEFAULT_WORDS))


def test_announced_words():
    assert announced_words("满减优惠，回QX退订【商城】") == {"QX"}
    assert announced_words("退订回t") == {"T"}
    assert announced_words("您好") == frozenset()


def test_only_marketing_waits_for_a_receipt():
    assert [rule_of(lane.rank) for lane in Lane] == [Rule.RESEND, Rule.RESEND, Rule.RESEND, Rule.HOLD]


@given(st.integers(0, 100), st.floats(0, 1, exclude_max=True))
def test_back_off_is_bounded(attempt, jitter):
    assert 100 <= throttle_delay_ms(attempt, jitter) <= 5_000
    assert 500 <= temporary_delay_ms(attempt, jitter) <= 60_000
    assert reconnect_delay_s(attempt, jitter, credentials=True) >= 60
    assert 0.5 <= reconnect_delay_s(attempt, jitter) <= 60


def test_a_first_resend_is_at_once_and_later_ones_wait_longer_and_longer():
    assert uncertain_delay_ms(0, 0.9) == 0
    delays = [uncertain_delay_ms(attempt, 0.0) for attempt in range(1, 10)]
    assert delays == sorted(delays)
    assert delays[0] >= 500
    assert delays[-1] == 30_000


GOOD = {"name": "a", "host": "h", "port": 2775, "system_id": "gx", "password": "pw-quiet"}


def test_a_link_of_the_file():
    (made,) = parse_links([GOOD | {"rate": 7, "carriers": ["CMCC"], "dest_ton": 2}])
    assert (made.account, made.secret, made.rate, made.letters, made.group) == ("gx", "pw-quiet", 7, "M", "@M")
    assert made.settings == {"dest_ton": 2}
    assert "pw-quiet" not in repr(made.public())
    assert made.limits(made.dialect()).attempts == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "no spaces"},
        {"protocol": "smpp99"},
        {"rate": 0},
        {"window": 3},
        {"port": 99_999},
        {"carriers": ["ATT"]},
        {"surprise": 1},
        {"long": "udh9"},
        {"host": ""},
        {"rate": "many"},
    ],
)
def test_a_wrong_link_is_refused_without_its_secret(wrong):
    with pytest.raises(LinkConfigError) as caught:
        parse_links([GOOD | wrong])
    assert "pw-quiet" not in str(caught.value)


def test_the_links_file_is_a_list_of_different_links():
    for document in ("x", {"links": 1}, [1], [GOOD, GOOD]):
        with pytest.raises(LinkConfigError):
            parse_links(document)
    assert parse_links({"links": [GOOD]})


def chunk(text: str, n: int = 3) -> Chunk:
    entry = Entry("t", 0, n, "10655", [text], 1 << 50, n)
    return Chunk("01" * 16, "t", "e", Lane.NOTICE, 0, [8613800000000 + i for i in range(n)], "M" * n, [entry])


def test_a_resend_writes_the_same_segments():
    (made,) = parse_links([GOOD])
    writer = Writer(made, made.dialect())
    text = "尊敬的客户，" * 30
    assert writer.submits(chunk(text), 2) == writer.submits(chunk(text), 2)
    first, second = (writer.submits(chunk(text), i) for i in (0, 1))
    assert len(first) == 3
    assert first[0].content[:4] != second[0].content[:4], "neighbours have different references"


@given(
    st.lists(st.text(st.sampled_from("a%s客户 €𝄞\ud800【"), max_size=30), min_size=1, max_size=4),
    st.lists(st.lists(st.text(max_size=12), min_size=2, max_size=2), min_size=1, max_size=4),
    st.data(),
)
def test_the_quick_way_writes_what_the_exact_way_writes(pieces, variables, data):
    slots = [data.draw(st.integers(0, 1)) for _ in pieces[1:]]
    n = len(variables)
    entry = Entry("t", 0, n, "10655", pieces, 1 << 50, n, slots=slots, variables=variables if slots else [])
    made = Chunk("01" * 16, "t", "e", Lane.NOTICE, 0, [8613800000000 + i for i in range(n)], "M" * n, [entry])
    (link,) = parse_links([GOOD])
    quick, exact = Writer(link, link.dialect()), Writer(link, link.dialect())
    exact._plain = exact._plain_wide = False
    for index in range(n):
        assert written(quick, made, index) == written(exact, made, index)


def written(writer, made, index):
    try:
        return writer.submits(made, index)
    except TextError as error:
        return error.code


def test_ways_of_long_messages_and_numbers():
    text = "尊敬的客户，" * 30
    (wide,) = parse_links([GOOD | {"long": "udh16", "numbers": "national"}])
    (fields,) = parse_links([GOOD | {"long": "fields"}])
    submit = Writer(wide, wide.dialect()).submits(chunk(text), 0)[0]
    assert submit.content[:3] == b"\x06\x08\x04"
    assert submit.destination == "13800000000"
    submit = Writer(fields, fields.dialect()).submits(chunk(text), 0)[1]
    assert not submit.udhi
    assert (submit.part_number, submit.part_total) == (2, 3)
    assert dialect("smpp34").submit(submit, 1)


def flight(serial: int, numbers: list[int]) -> Flight:
    head = Head("r", "01" * 16, "t", "e", "t:e", 1, "")
    work = Work(
        id=1,
        version=1,
        release=Release(head, chunk("x")),
        grp="g",
        kind=0,
        attempt=0,
        expires_at=0,
        indices=[0],
        segs=None,
        pos=0,
        claim=("a", 1),
    )
    made = Flight(id=serial, serial=serial, link="a", slot=1, epoch=1, work=work, granted_at=0)
    for i, number in enumerate(numbers):
        made.add(i, 1, 1, number, None)  # type: ignore[arg-type]
    made.seal()
    return made


def test_an_id_in_another_notation_needs_the_recipient():
    book = Book()
    sixteen = flight(1, [8613800000016])
    book.add(sixteen)
    book.remember(sixteen, [(0, 0, "0016")])
    # The receipt's "10" is hexadecimal 16, or the decimal 10 of somebody else.
    assert book.match("a", "10", IdMode.AUTO, "8613800000016") == (sixteen, 0)
    assert book.match("a", "10", IdMode.AUTO, "8613800000010") is None
    assert book.match("a", "00000016", IdMode.AUTO, "") == (sixteen, 0)
    assert book.match("b", "16", IdMode.AUTO, "8613800000016") is None


def test_the_book_is_bounded():
    book = Book(10)
    for serial in range(1, 101):
        made = flight(serial, [8613800000000])
        book.add(made)
        book.remember(made, [(0, 0, f"x{serial}")])
        made.open = 0
        book.close(made)
    assert len(book) == 10
    assert book.match("a", "x100", IdMode.EXACT, "") is not None
    assert book.match("a", "x1", IdMode.EXACT, "") is None


def test_numbers_are_the_same_in_any_way_of_writing():
    assert same_number(8613800138000, "13800138000")
    assert same_number(8613800138000, "+8613800138000")
    assert not same_number(8613800138000, "13800138001")
    assert not same_number(8613800138000, "")
    assert not same_number(8613800138000, "8000")


def test_wire_times_are_chinese_time():
    assert wire_time_ms("2611231000") == 1_795_399_200_000
    assert wire_time_ms("261123100030") == 1_795_399_230_000
    for text in ("", "abc", "2613991000", "99"):
        assert wire_time_ms(text) == 0


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 3)), unique=True), st.data())
def test_what_recovery_calls_uncertain(pairs, data):
    answered = data.draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    left = unanswered([i for i, _ in pairs], [s for _, s in pairs], [i for i, _ in answered], [s for _, s in answered])
    assert set(left) == set(pairs) - set(answered)


def test_a_work_yields_whole_messages_or_chosen_segments():
    head = Head("r", "01" * 16, "t", "e", "t:e", 1, "")
    common = {"id": 1, "version": 1, "release": Release(head, chunk("x")), "grp": "g", "kind": 1, "attempt": 0}
    common |= {"expires_at": 0, "claim": ("a", 1)}
    work = Work(indices=[4, 4, 7], segs=[1, 3, 2], pos=0, **common)
    assert list(work.messages()) == [(2, 4, [1, 3]), (3, 7, [2])]
    work = Work(indices=[4, 7], segs=None, pos=1, **common)
    assert list(work.messages()) == [(2, 7, None)]
