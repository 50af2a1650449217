"""What foreign peers showed of us, test by test, and the page made of it.

``python tests/support/conformance.py`` runs the peers' tests and writes ``docs/conformance.md``. The tests say what
they showed as their last step; a test that fails before never says it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Row(NamedTuple):
    """One thing shown: by this peer, of this protocol, with us in this role."""

    protocol: str
    subject: str
    role: str
    peer: str


def keep(rows: list[Row], test: str) -> None:
    """Append what a test showed to the run's file, when the run asks for one."""
    target = os.environ.get("GUANXIN_CONFORMANCE")
    if not target:
        return
    with Path(target).open("a", encoding="utf-8") as file:
        file.writelines(json.dumps([*row, test], ensure_ascii=False) + "\n" for row in rows)
