"""A child that holds no carrier socket and kills its parent when the parent's lease ran out and it did not say so.

A frozen process keeps its TCP sessions open, and no lease cures that.  The parent writes its deadline (monotonic seconds, which all
processes of a machine share) as eight octets into this child's standard input after every renewal; an infinite one means that it
holds nothing.  One second after the deadline the child sends SIGKILL, which also ends a stopped process.  When the parent closes
the pipe, it is gone, and so is the child.

Standard library only: it is started with ``-I -S`` and has to be small.
"""

import math
import os
import select
import signal
import struct
import sys
import time

KILL_AFTER_S = 1.0
DEADLINE = struct.Struct("<d")


def watch(pidfd: int, stream: int, kill_after_s: float = KILL_AFTER_S) -> bool:
    """Watch until the stream ends (False) or the parent was killed (True)."""
    deadline = math.inf
    pending = b""
    while True:
        remaining = deadline + kill_after_s - time.monotonic()
        timeout = None if math.isinf(remaining) else max(0.0, remaining)
        readable, _, _ = select.select([stream], [], [], timeout)
        if readable:
            octets = os.read(stream, 4096)
            if not octets:
                return False
            pending += octets
            whole = len(pending) - len(pending) % DEADLINE.size
            if whole:
                (deadline,) = DEADLINE.unpack(pending[whole - DEADLINE.size : whole])
                pending = pending[whole:]
            continue
        if time.monotonic() >= deadline + kill_after_s:
            try:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            except ProcessLookupError:
                return False
            return True


def main() -> int:
    """Watch the process whose number is the first argument."""
    parent = int(sys.argv[1])
    # A signal to the terminal's group is the parent's affair; this child ends with the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pidfd = os.pidfd_open(parent)
    if os.getppid() != parent:
        return 0
    os.write(1, b"!")
    if watch(pidfd, 0):
        sys.stderr.write(f"watchdog: killed {parent}: its lease ran out\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
