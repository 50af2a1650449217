"""Child processes that cannot outlive their parent, and the finding and ending of those that a former run left behind.

Every child is its own session (Ctrl-C in a terminal reaches only the parent, which then stops the children in order)
and asks the
kernel to be signalled when its parent dies, also by SIGKILL. Where the kernel has no such thing (macOS), `leftovers`
finds them at the next start.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

# Marks every process of one local stack or test bed, its grandchildren included; the value is the directory of its
# state.
MARK = "GUANXIN_STACK_DIR"

_PR_SET_PDEATHSIG = 1


def tied_to_parent(death_signal: signal.Signals) -> Callable[[], None]:
    """Return what the child must run between fork and exec so that it receives ``death_signal`` when its parent dies.

    The kernel means the parent *thread*: start children from the main thread only.
    """
    parent = os.getpid()
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def tie() -> None:
        if libc is None:
            return
        if libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
            os._exit(71)
        if os.getppid() != parent:  # it died between fork and here
            os._exit(72)

    return tie


def leftovers(mark: Path) -> list[psutil.Process]:
    """Return the running processes that carry ``mark``, other than this one and its parents."""
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        if process.pid in mine:
            continue
        try:
            if process.environ().get(MARK) == str(mark):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess, OSError):
            continue
    return found


def end(processes: Iterable[psutil.Process], patience_s: float = 5.0) -> int:
    """Ask ``processes`` to end, kill those that do not within ``patience_s``; returns how many there were."""
    found = list(processes)
    for process in found:
        _send(process, signal.SIGTERM)
    _, stubborn = psutil.wait_procs(found, timeout=patience_s)
    for process in stubborn:
        _send(process, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=patience_s)
    return len(found)


def kill_group(leader: int) -> None:
    """Kill what is left of the process group that ``leader`` began."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def listens(pid: int, port: int) -> bool:
    """Tell whether process ``pid`` itself listens on TCP ``port``."""
    try:
        connections = psutil.Process(pid).net_connections(kind="tcp")
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    return any(item.status == psutil.CONN_LISTEN and item.laddr.port == port for item in connections)


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
