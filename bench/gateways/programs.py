"""Programs a benchmark starts: free ports, logs in its own folder, clear words where one is not installed, and an end that is certain."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil


class Missing(Exception):
    """A program that is not installed; the text says how to install it."""


class Failed(Exception):
    """A program that did not come up; the text ends with the last lines it logged."""


def find(program: str, package: str, *places: str) -> str:
    """Return the path of ``program``, looked for in ``places`` first; raises Missing naming the Debian package."""
    found = shutil.which(program, path=os.pathsep.join(places)) or shutil.which(program)
    if found is None:
        raise Missing(
            f"{program} is not installed: apt-get install {package} / 未安装 {program}：apt-get install {package}"
        )
    return found


PORTS = range(20_000, 32_000)
"""Below those the system gives to connections: a port stays free while its program is down, and nobody connects to himself."""


def free_port() -> int:
    """Return a TCP port that is free on the loopback address, another one each time."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _given:
            _given.add(port)
            return port


_given: set[int] = set()


def until(ready: Callable[[], bool], what: str, patience_s: float = 120.0) -> None:
    """Wait until ``ready``; raises Failed naming ``what`` when it does not come."""
    deadline = time.monotonic() + patience_s
    while not ready():
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {patience_s:.0f} s")
        time.sleep(0.05)


def listens(port: int) -> bool:
    """Return whether somebody accepts connections at ``port``."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


class Program:
    """One process with its children; started again after a kill with the same arguments."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, env: dict[str, str] | None = None) -> None:
        self.name = name
        self._command, self._folder = list(command), folder
        self._env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """File with what it printed."""
        return self._folder / f"{self.name}.log"

    def start(self, ready: Callable[[], bool], patience_s: float = 120.0) -> None:
        """Start and wait until it works; raises Failed when it ended or took too long."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        process = self._process

        def ready_or_dead() -> bool:
            if process.poll() is not None:
                raise Failed(f"{self.name} ended with {process.returncode}:\n{self._tail()}")
            return ready()

        until(ready_or_dead, self.name, patience_s)

    def tree(self) -> list[psutil.Process]:
        """Return the process and its children, none where it does not run."""
        if self._process is None or self._process.poll() is not None:
            return []
        process = psutil.Process(self._process.pid)
        return [process, *process.children(recursive=True)]

    def kill(self) -> None:
        """End it with all its children by SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, and end it when it has not after ten seconds."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        tree = self.tree()
        for process in tree:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        _, alive = psutil.wait_procs(tree, timeout=10)
        for process in alive:
            process.kill()
        if self._process is not None:
            self._process.wait(10)

    def _tail(self) -> str:
        return self.log.read_text("utf-8", "replace")[-2_000:]
