"""Gives a process a wall clock that can be set: `time.time` and `time.time_ns` are off by the seconds in a file.

Python imports this module by itself where it is on the path.  The monotonic clock is left alone, as a jump of the real one leaves it.
"""

import os
import time

_WHERE = os.environ.get("GUANXIN_CHAOS_CLOCK", "")
_LOOK_EVERY_S = 0.05

if _WHERE:
    _real_time, _real_ns, _monotonic = time.time, time.time_ns, time.monotonic
    _state = {"looked": -1.0, "offset": 0}

    def _offset() -> int:
        now = _monotonic()
        if now - _state["looked"] >= _LOOK_EVERY_S:
            _state["looked"] = now
            with open(_WHERE, encoding="ascii") as file:  # noqa: PTH123 - before anything else is imported
                _state["offset"] = int(file.read() or 0)
        return int(_state["offset"])

    time.time = lambda: _real_time() + _offset()
    time.time_ns = lambda: _real_ns() + _offset() * 1_000_000_000
