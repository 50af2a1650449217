"""Free space of the file systems everything lives on: acceptance stops before PostgreSQL and Kafka die of a full disk."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from ingest import metrics

CHECK_EVERY_S = 1.0


class DiskWatch:
    """Asked on every request, looks once a second."""

    def __init__(self, paths: Sequence[Path], min_free_octets: int) -> None:
        self._paths = list(paths)
        self._min_free = min_free_octets
        self._checked = float("-inf")
        self._free = 0

    def low(self) -> bool:
        """Return whether the fullest file system has less than the least free space."""
        now = time.monotonic()
        if now - self._checked >= CHECK_EVERY_S:
            self._checked = now
            self._free = min((_free(path) for path in self._paths), default=self._min_free)
            metrics.DISK_FREE.set(self._free)
        return self._free < self._min_free

    async def probe(self) -> str | None:
        """Say so when acceptance is stopped (for `Health.check`)."""
        return f"disk low: {self._free} octets free, {self._min_free} needed" if self.low() else None


def _free(path: Path) -> int:
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize
