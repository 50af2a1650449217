"""Who this process is, and which former owners are proved dead.

A worker's owner name is its instance plus a random part made at every start.  It holds an exclusive lock on a file in its state
directory while it lives; the kernel frees the lock when the process dies, however it dies.  So whoever gets the lock knows that the
owners written in that file are gone, with their sockets, and need not wait for their leases to stand still.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from pathlib import Path

MOST_REMEMBERED = 50


class StateDirBusyError(Exception):
    """Another process uses this state directory."""


class Boot:
    """The identity of this process; keep it referenced, for it holds the lock."""

    def __init__(self, state_dir: Path, instance: str) -> None:
        """Raises `StateDirBusyError` when a process with the same directory and instance lives."""
        state_dir.mkdir(parents=True, exist_ok=True)
        self.owner = f"{instance}:{secrets.token_hex(6)}"
        path = state_dir / f"{instance}.owner"
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise StateDirBusyError(
                f"{path} is locked: another {instance} is running / 另一个 {instance} 正在运行"
            ) from error
        self.known_dead = frozenset(self._read())
        octets = json.dumps([self.owner, *list(self.known_dead)][:MOST_REMEMBERED]).encode()
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, octets, 0)
        os.fsync(self._file)

    def _read(self) -> list[str]:
        octets = os.pread(self._file, 65_536, 0)
        try:
            names = json.loads(octets) if octets else []
        except ValueError:
            # A torn write of a machine that lost power: nothing is proved, so the leases decide.
            return []
        return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []

    def close(self) -> None:
        """Let the lock go."""
        os.close(self._file)
