"""What the supervisor remembers on disk between runs: the ports it used.

The file is replaced whole, so a reader sees one version or the other. It holds no secret.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Remembered:
    """``ports`` by component and name."""

    ports: dict[str, dict[str, int]] = field(default_factory=dict)


def load(path: Path) -> Remembered:
    """Read ``path``; a file that is missing or of another shape is like none: everything in it can be found out
    again.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        ports = {
            component: {name: int(port) for name, port in chosen.items()}
            for component, chosen in content["ports"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Remembered()
    return Remembered(ports)


def save(path: Path, remembered: Remembered) -> None:
    """Replace ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(json.dumps(asdict(remembered), indent=1), encoding="utf-8")
    scratch.replace(path)


def config_digest(path: Path | None) -> str:
    """Return what tells one configuration from another; empty for none."""
    return "" if path is None or not path.exists() else hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def reset(local: Path) -> None:
    """Delete all data, secrets and logs of a stack that is down; downloads stay."""
    kept = {"engines", "assets", "npm", "testbed"}
    for entry in local.iterdir() if local.exists() else ():
        if entry.name in kept:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
