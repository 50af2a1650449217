"""What the supervisor remembers on disk between runs: the ports it used, and whether first-time steps were done.

The file is replaced whole, so a reader sees one version or the other. It holds no secret.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Remembered:
    """``ports`` by component and name; ``marks`` are digests of inputs of steps that need not run again."""

    ports: dict[str, dict[str, int]] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)


def load(path: Path) -> Remembered:
    """Read ``path``; a file that is missing or of another shape is like none: everything in it can be found out
    again.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Remembered(ports=content["ports"], marks=content["marks"])
    except (OSError, ValueError, KeyError, TypeError):
        return Remembered()


def save(path: Path, remembered: Remembered) -> None:
    """Replace ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(json.dumps(asdict(remembered), indent=1), encoding="utf-8")
    scratch.replace(path)
