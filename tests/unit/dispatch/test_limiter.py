"""The limiter's proof, by trial: whatever the delays, no second at the carrier holds more than R."""

from __future__ import annotations

import heapq

from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.domain.limiter import PAUSE_S, ResponseTimedLimiter


def most_in_one_second(times: list[float]) -> int:
    times = sorted(times)
    most = begin = 0
    for end, at in enumerate(times):
        while times[begin] <= at - 1.0:
            begin += 1
        most = max(most, end - begin + 1)
    return most


@settings(max_examples=150, deadline=None)
@given(
    rate=st.integers(1, 60),
    delays=st.lists(st.tuples(st.floats(0.0, 0.7), st.floats(0.0, 0.7)), min_size=1, max_size=50),
    steps=st.lists(st.floats(0.0005, 0.2), min_size=1, max_size=50),
    changes=st.dictionaries(st.integers(0, 400), st.integers(1, 60), max_size=3),
)
def test_never_above_the_rate_as_the_carrier_sees_it(rate, delays, steps, changes):
    limiter = ResponseTimedLimiter(rate, 0.0)
    top = max([rate, *changes.values()])
    now, sent = 0.0, 0
    arrivals: list[float] = []
    responses: list[float] = []
    for step in range(400):
        now += steps[step % len(steps)]
        while responses and responses[0] <= now:
            # Told late, but since when the response was read.
            limiter.answered(1, heapq.heappop(responses))
        if step in changes:
            limiter.set_rate(changes[step], now)
        soon = limiter.within(now, 0.05)
        n = limiter.available(now)
        assert soon >= n
        for _ in range(n):
            out, back = delays[sent % len(delays)]
            arrivals.append(now + out)
            heapq.heappush(responses, now + out + back)
            sent += 1
        limiter.sent(n, now)
    assert most_in_one_second(arrivals) <= top


@given(
    rate=st.integers(1, 500), sends=st.lists(st.integers(0, 200), min_size=1, max_size=60), ahead=st.floats(0.0, 0.1)
)
def test_what_may_go_soon_is_what_may_go_then(rate, sends, ahead):
    limiter = ResponseTimedLimiter(rate, 0.0)
    now = 0.0
    for wanted in sends:
        now += 0.02
        n = min(wanted, limiter.available(now))
        limiter.sent(n, now)
        limiter.answered(n, now)
    soon = limiter.within(now, ahead)
    assert abs(soon - limiter.available(now + ahead)) <= 1, "but for rounding"


@given(rate=st.integers(2, 2_000), rtt=st.sampled_from([0.001, 0.02, 0.2]))
@settings(max_examples=30, deadline=None)
def test_the_price_is_what_the_round_trip_says(rate, rtt):
    limiter = ResponseTimedLimiter(rate, 0.0)
    now, sent, pending = 0.0, 0, []
    while now < 9.0:
        now += 0.003
        while pending and pending[0][0] <= now:
            limiter.answered(pending.pop(0)[1], now)
        n = limiter.available(now)
        if n:
            limiter.sent(n, now)
            pending.append((now + rtt, n))
            sent += n if now > 1.0 else 0
    # Over eight seconds: the pacing and the live count swing in with the first round trips.
    assert sent / 8.0 >= rate / (1 + rtt + 0.006) * 0.95 - 2


def test_lowering_the_rate_holds_at_once():
    limiter = ResponseTimedLimiter(100, 0.0)
    limiter.sent(60, 1.0)
    limiter.set_rate(50, 1.0)
    assert limiter.available(2.0) == 0
    limiter.answered(60, 2.0)
    assert limiter.available(2.9) == 0
    assert limiter.available(3.1) > 0


def test_a_rate_of_zero_sends_nothing_and_waits_for_nothing():
    limiter = ResponseTimedLimiter(0, 0.0)
    assert limiter.available(10.0) == 0
    assert limiter.next_at(10.0) is None


def test_throttling_slows_down_and_recovers():
    limiter = ResponseTimedLimiter(1000, 0.0)
    for at in (1.0, 2.0, 3.0):
        limiter.accepted()
        limiter.throttled(at)
    assert 500 <= limiter.effective(3.0) < 800
    assert limiter.effective(30.0) == 1000


def test_a_burst_of_throttles_counts_once():
    limiter = ResponseTimedLimiter(1000, 0.0)
    for _ in range(100):
        limiter.throttled(1.0)
    assert limiter.effective(1.0) == 800


def test_a_carrier_that_takes_nothing_is_left_alone_for_a_moment():
    limiter = ResponseTimedLimiter(1000, 0.0)
    limiter.throttled(1.0)
    assert limiter.available(1.1) > 0
    limiter.throttled(2.0)
    assert limiter.available(2.0 + PAUSE_S / 2) == 0
    assert limiter.next_at(2.1) == 2.0 + PAUSE_S
    assert limiter.available(2.1 + PAUSE_S) > 0


def test_next_at_says_when_time_alone_helps():
    limiter = ResponseTimedLimiter(2, 0.0)
    assert limiter.available(1.0) == 1
    limiter.sent(1, 1.0)
    assert limiter.next_at(1.0) == 1.5
    limiter.sent(1, 1.5)
    assert limiter.next_at(1.6) is None, "only a response can help"
    limiter.answered(2, 1.7)
    assert limiter.next_at(1.8) == 2.7
