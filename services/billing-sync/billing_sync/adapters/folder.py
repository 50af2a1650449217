"""The exchange folder: files are complete when they are visible; blocking calls, to be made from a thread.

`outgoing/` is offered to the billing system for reading, `ack/` takes its acknowledgements, `acknowledged/` and
`settled/` are ours.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from billing_sync.domain.acks import MAX_OCTETS, SUFFIX, AckError

_TEMPORARY = ".part-"
MAX_ACKS = 100
"""Acknowledgements of one round."""


class Folder:
    """One process's view of the folder."""

    def __init__(self, root: Path) -> None:
        """Make the directories where they are not there; they belong to this service alone."""
        self.root = root / "exchange"
        self.outgoing = self.root / "outgoing"
        self.acks = self.root / "ack"
        self._acknowledged = root / "acknowledged"
        self._settled = root / "settled"
        for directory in (self.outgoing, self.acks, self._acknowledged, self._settled):
            directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        # What a crash left half-written was never visible under its name.
        for leftover in self.outgoing.glob(f"{_TEMPORARY}*"):
            leftover.unlink(missing_ok=True)

    def offered(self) -> set[str]:
        """Return the names in the outgoing folder."""
        return {path.name for path in self.outgoing.iterdir() if not path.name.startswith(_TEMPORARY)}

    def write(self, name: str, octets: bytes) -> None:
        """Write a file so that it appears whole: temporary name, flush, rename, flush of the directory."""
        temporary = self.outgoing / f"{_TEMPORARY}{secrets.token_hex(8)}"
        with temporary.open("xb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self.outgoing / name)
        _flush(self.outgoing)

    def read(self, name: str) -> bytes | None:
        """Return a file's octets from the outgoing or acknowledged folder, None when it is in neither."""
        for directory in (self.outgoing, self._acknowledged):
            path = directory / name
            if path.exists():
                return path.read_bytes()
        return None

    def retire(self, name: str) -> None:
        """Take an acknowledged file out of the outgoing folder."""
        path = self.outgoing / name
        if path.exists():
            path.rename(self._acknowledged / name)
            _flush(self.outgoing)

    def acknowledgements(self) -> list[str]:
        """Return the names of complete acknowledgements, oldest first."""
        # An upload under way has a hidden name (`adapters.sftp`).
        found = [
            path
            for path in self.acks.iterdir()
            if path.name.endswith(SUFFIX) and not path.name.startswith(".") and path.is_file()
        ]
        return [path.name for path in sorted(found, key=lambda path: path.stat().st_mtime_ns)[:MAX_ACKS]]

    def read_acknowledgement(self, name: str) -> bytes:
        """Return an acknowledgement's octets; raises `AckError` when it is too large."""
        path = self.acks / name
        if path.stat().st_size > MAX_OCTETS:
            raise AckError(f"more than {MAX_OCTETS} octets")
        return path.read_bytes()

    def settle(self, name: str, refusal: str) -> None:
        """Put a read acknowledgement aside; beside a refused one stands why."""
        (self.acks / name).rename(self._settled / name)
        if refusal:
            (self._settled / f"{name}.err").write_text(refusal + "\n", encoding="utf-8")


def _flush(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
