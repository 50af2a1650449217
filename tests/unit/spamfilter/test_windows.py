"""Sender windows and code caps: by event time, in log order, the same again after a replay."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spamfilter.domain.caps import CodeCaps, Limits
from spamfilter.domain.sender import SenderWindows

WINDOW = 300_000
THRESHOLD = 30


def admit(windows, chunk, count, at, first=0, sender="13800138000"):
    return windows.admit("demo:e1", sender, chunk, first, count, at, THRESHOLD)


def test_what_came_before_within_the_window_is_counted():
    windows = SenderWindows(WINDOW)
    assert admit(windows, "a", 10, 0).prior == 0
    assert admit(windows, "b", 10, WINDOW - 1).prior == 10
    assert admit(windows, "c", 1, WINDOW).prior == 10
    assert admit(windows, "d", 1, 3 * WINDOW).prior == 0


def test_senders_and_enterprises_do_not_mix():
    windows = SenderWindows(WINDOW)
    admit(windows, "a", 10, 0)
    assert admit(windows, "b", 1, 0, sender="13900139000").prior == 0
    assert windows.admit("demo:e2", "13800138000", "c", 0, 1, 0, THRESHOLD).prior == 0


def test_a_chunk_again_is_not_counted_again_and_sees_what_it_saw():
    windows = SenderWindows(WINDOW)
    first = [admit(windows, name, 7, at) for at, name in enumerate("abcdef")]
    again = [admit(windows, name, 7, at) for at, name in enumerate("abcdef")]
    assert [a.prior for a in again] == [f.prior for f in first]
    assert all(f.new for f in first)
    assert not any(a.new for a in again)


def test_an_older_lane_read_later_still_adds_up():
    windows = SenderWindows(WINDOW)
    admit(windows, "late", 20, 100_000)
    assert admit(windows, "early", 20, 50_000).prior == 20


@given(
    st.lists(
        st.tuples(st.integers(1, 12), st.integers(0, 2 * WINDOW), st.sampled_from(["13800138000", "13900139000"])),
        max_size=40,
    ),
    st.integers(0, 40),
    st.integers(0, 5),
)
def test_a_restart_anywhere_gives_the_answers_of_an_undisturbed_run(runs, cut, repeat):
    undisturbed = SenderWindows(WINDOW)
    expected = [
        undisturbed.admit("demo:e1", sender, f"c{n}", 0, count, at, THRESHOLD).prior
        for n, (count, at, sender) in enumerate(runs)
    ]
    before = SenderWindows(WINDOW)
    log = []
    for n, (count, at, sender) in enumerate(runs[:cut]):
        if before.admit("demo:e1", sender, f"c{n}", 0, count, at, THRESHOLD).new:
            log.append((sender, f"c{n}", count, at))
    after = SenderWindows(WINDOW)
    for sender, chunk, count, at in log:
        after.recall("demo:e1", sender, chunk, 0, count, at)
    # The offset stands some chunks behind what was done: they come again.
    begin = max(0, min(cut, len(runs)) - repeat)
    answers = [
        after.admit("demo:e1", sender, f"c{n}", 0, count, at, THRESHOLD).prior
        for n, (count, at, sender) in enumerate(runs)
        if n >= begin
    ]
    assert answers == expected[begin:]


def test_codes_are_capped_by_minute_hour_and_day():
    caps = CodeCaps(Limits(1, 5, 10))
    send = lambda n, at: caps.admit("demo:e1", "code:1069:13800138000", f"c{n}", 0, at)[0]  # noqa: E731
    minute = 60_000
    assert send(0, 0) is None
    assert send(1, minute - 1).limit == "minute"
    assert [send(2 + i, (1 + i) * minute) for i in range(4)] == [None] * 4
    assert send(7, 30 * minute).limit == "hour"
    assert [send(10 + i, (61 + 2 * i) * minute) for i in range(5)] == [None] * 5
    assert send(20, 300 * minute).limit == "day"
    assert send(21, 24 * 60 * minute + 1) is None


def test_a_code_already_in_the_log_passes_again():
    caps = CodeCaps(Limits(1, 5, 10))
    caps.recall("demo:e1", "code:1069:1", "c", 3, 0)
    assert caps.admit("demo:e1", "code:1069:1", "c", 3, 0) == (None, False)
    assert caps.admit("demo:e1", "code:1069:1", "c", 4, 0)[0].limit == "minute"


def test_caps_can_be_switched_off():
    caps = CodeCaps(Limits(0, 0, 0))
    assert all(caps.admit("e", "code:1:1", "c", i, 0) == (None, False) for i in range(50))
