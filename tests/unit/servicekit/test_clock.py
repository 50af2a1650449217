from __future__ import annotations

from servicekit.clock import JumpDetector, SystemClock


class Fake:
    def __init__(self):
        self.wall, self.mono = 1_000_000, 50.0

    def wall_ms(self):
        return self.wall

    def monotonic(self):
        return self.mono


def test_a_jump_is_noticed_once_in_either_direction():
    clock = Fake()
    detector = JumpDetector(clock)
    clock.wall, clock.mono = clock.wall + 10_000, clock.mono + 10
    assert detector.check() == 0
    clock.wall += 3_600_000
    assert detector.check() == 3_600_000
    assert detector.check() == 0
    clock.wall -= 5_000
    assert detector.check() == -5_000


def test_small_drift_is_not_a_jump():
    clock = Fake()
    detector = JumpDetector(clock)
    for _ in range(10):
        clock.wall += 1_000
        assert detector.check() == 0


def test_the_system_clock_goes_on():
    clock = SystemClock()
    assert clock.wall_ms() > 1_700_000_000_000
    assert clock.monotonic() <= clock.monotonic()
