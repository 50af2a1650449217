"""Log files of the local stack: cut when they grow, read from their end.

A child writes to its file itself, so the file cannot be swapped under it: it is copied and then emptied. A line
written between the
two is lost; that is the price for a supervisor through which no log line has to pass.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

LIMIT_BYTES = 20_000_000
KEPT = 3
_TAIL_BYTES = 256_000


def rotate(path: Path, limit: int = LIMIT_BYTES) -> bool:
    """Cut ``path`` when it is larger than ``limit`` bytes, keeping KEPT older pieces; returns whether it did."""
    if not path.exists() or path.stat().st_size <= limit:
        return False
    for number in range(KEPT - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    os.truncate(path, 0)
    return True


def tail(path: Path, lines: int) -> str:
    """Return the last ``lines`` lines of ``path``; empty when there is no such file."""
    if not path.exists():
        return ""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        content = stream.read().decode("utf-8", errors="replace")
    return "\n".join(content.splitlines()[-lines:])
