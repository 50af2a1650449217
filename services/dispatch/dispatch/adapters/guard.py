"""The parent's side of the watchdog: starts the child before any carrier socket exists and tells it every deadline."""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
import sys
from pathlib import Path

from dispatch import watchdog


class WatchdogLostError(Exception):
    """The watchdog is gone: without it a frozen worker could keep sessions, so the worker must not go on."""


class Guard:
    """A running watchdog."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start the child and wait until it watches."""
        # A session of its own: what stops or interrupts the worker's process group must not stop its watchdog.
        child = subprocess.Popen(  # noqa: ASYNC220 - before anything is served
            [sys.executable, "-I", "-S", str(Path(watchdog.__file__)), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            close_fds=True,
            start_new_session=True,
        )
        self._child = child
        assert child.stdout is not None
        ready = await asyncio.to_thread(child.stdout.read, 1)
        if ready != b"!":
            raise WatchdogLostError("the watchdog did not start")
        assert child.stdin is not None
        os.set_blocking(child.stdin.fileno(), False)

    def tell(self, deadline: float) -> None:
        """Tell the deadline (monotonic seconds); raises `WatchdogLostError` when nobody listens."""
        child = self._child
        if child is None:
            return
        assert child.stdin is not None
        try:
            os.write(child.stdin.fileno(), watchdog.DEADLINE.pack(deadline))
        except (BrokenPipeError, BlockingIOError) as error:
            raise WatchdogLostError(f"the watchdog does not listen: {type(error).__name__}") from error

    def release(self) -> None:
        """Say that nothing is held any more."""
        self.tell(math.inf)

    async def stop(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is None:
            return
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.close()
        await asyncio.to_thread(child.wait, 5)
        child.stdout.close()
