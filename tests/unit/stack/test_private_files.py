"""Private files of the stack are replaced whole, also by several writers at once."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from guanxin.stack.credentials import write_private

WRITERS, ROUNDS = 4, 50


def test_workers_started_at_once_may_write_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "run" / "secrets.json"

    def write(number: int) -> None:
        for _ in range(ROUNDS):
            write_private(path, {"writer": number, "filling": "x" * 2_000})

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))  # raises what a writer raised
    assert json.loads(path.read_text(encoding="utf-8"))["writer"] in range(WRITERS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["secrets.json"]
