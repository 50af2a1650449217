"""Joining: any order, repetition, loss, reuse of references, bounds; time is a float."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smstext import Coding, Concat, Incomplete, Joined, Joiner, Part, split, split_header


def ucs2(text: str) -> Part:
    return Part(Coding.UCS2, text.encode("utf-16-be"))


def add(joiner: Joiner, index: int, part: Part, now: float = 0.0, *, total: int = 3, ref: int = 1) -> list[object]:
    return list(joiner.add("l", "s", "d", Concat(ref, total, index), part, now))


@given(st.text(alphabet="你好👍ab", min_size=71, max_size=400), st.randoms())
def test_any_order_with_repetitions(text: str, random: object) -> None:
    found = split(text, Coding.UCS2, reference=5, width=16)
    parts = [split_header(payload) for payload in found.payloads] * 2
    random.shuffle(parts)  # type: ignore[attr-defined]
    joiner = Joiner(wait=60.0)
    out = []
    for head, content in parts:
        assert head.concat is not None
        out += joiner.add("l", "s", "d", head.concat, Part(Coding.UCS2, content), 1.0)
    (joined,) = out
    assert isinstance(joined, Joined)
    assert joined.text == text
    assert len(joiner) == 0
    assert joiner.next_deadline() is None


def test_different_links_sources_widths_do_not_mix() -> None:
    joiner = Joiner(wait=1.0)
    for key in (("l", "s", "d", 8), ("l2", "s", "d", 8), ("l", "s2", "d", 8), ("l", "s", "d2", 8), ("l", "s", "d", 16)):
        assert joiner.add(*key[:3], Concat(1, 2, 1, key[3]), ucs2("a"), 0.0) == []
    assert len(joiner) == 5


def test_deadline_gives_what_arrived() -> None:
    joiner = Joiner(wait=10.0)
    add(joiner, 2, ucs2("中"), 100.0, total=4)
    add(joiner, 4, ucs2("末"), 109.0, total=4)
    add(joiner, 1, ucs2("x"), 105.0, ref=2)
    assert joiner.next_deadline() == 110.0
    assert joiner.expire(109.9) == []
    (gone,) = joiner.expire(110.0)
    assert isinstance(gone, Incomplete)
    assert (gone.reason, gone.begun_at, gone.text) == ("expired", 100.0, "[…]中[…]末")
    assert sorted(gone.parts) == [2, 4]
    assert joiner.next_deadline() == 115.0


def test_missing_tail_is_marked() -> None:
    joiner = Joiner(wait=1.0)
    add(joiner, 1, ucs2("头"), 0.0)
    (gone,) = joiner.expire(5.0)
    assert gone.text == "头[…]"


def test_a_reused_reference_gives_up_the_old_message() -> None:
    joiner = Joiner(wait=10.0)
    add(joiner, 1, ucs2("old"), total=2)
    (gone,) = add(joiner, 1, ucs2("new"), total=2)
    assert isinstance(gone, Incomplete)
    assert (gone.reason, gone.text) == ("superseded", "old[…]")
    (joined,) = add(joiner, 2, ucs2("!"), total=2)
    assert isinstance(joined, Joined)
    assert joined.text == "new!"


def test_a_part_repeated_after_completion_opens_no_ghost_but_a_new_message_does() -> None:
    joiner = Joiner(wait=10.0)
    add(joiner, 1, ucs2("a"), total=2)
    assert len(add(joiner, 2, ucs2("b"), total=2)) == 1
    assert add(joiner, 1, ucs2("a"), total=2) == []
    assert len(joiner) == 0
    assert add(joiner, 1, ucs2("c"), total=2) == []
    assert len(joiner) == 1


def test_memory_is_bounded() -> None:
    joiner = Joiner(wait=10.0, max_open=2, max_recent=1)
    add(joiner, 1, ucs2("1"), ref=1)
    add(joiner, 1, ucs2("2"), ref=2)
    (evicted,) = add(joiner, 1, ucs2("3"), ref=3)
    assert isinstance(evicted, Incomplete)
    assert (evicted.reason, evicted.key.reference) == ("evicted", 1)
    assert len(joiner) == 2
    for ref in (10, 11):
        (done,) = [out for out in add(joiner, 1, ucs2("x"), total=1, ref=ref) if isinstance(out, Joined)]
        assert done.text == "x"
    assert add(joiner, 1, ucs2("x"), total=1, ref=11) == []  # remembered
    assert len([out for out in add(joiner, 1, ucs2("x"), total=1, ref=10) if isinstance(out, Joined)]) == 1  # forgotten


def test_parts_of_several_codings_and_cut_surrogates() -> None:
    joiner = Joiner(wait=10.0)
    whole = "你👍".encode("utf-16-be")
    add(joiner, 1, Part(Coding.UCS2, whole[:4]))
    add(joiner, 2, Part(Coding.UCS2, whole[4:]))
    (joined,) = add(joiner, 3, Part(Coding.GSM7, b"abc\x1b\x65"))
    assert isinstance(joined, Joined)
    assert joined.text == "你👍abc€"


def test_a_different_coding_is_a_different_part() -> None:
    joiner = Joiner(wait=10.0)
    add(joiner, 1, Part(Coding.GSM7, b"a"))
    (gone,) = add(joiner, 1, Part(Coding.OCTETS, b"a"))
    assert isinstance(gone, Incomplete)


@pytest.mark.parametrize("now", [0.0, 1e9])
def test_nothing_to_expire(now: float) -> None:
    assert Joiner(wait=1.0).expire(now) == []
