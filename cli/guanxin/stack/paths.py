"""Where the local stack keeps its things: everything below one directory, ``.local`` beside the sources (or
GUANXIN_LOCAL_DIR).
"""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
JGO_SPEC = REPOSITORY / "jgo.toml"
JGO_LOCK = REPOSITORY / "jgo.lock.toml"


def local_dir() -> Path:
    """Return the directory of all local state; it may not exist yet."""
    return Path(os.environ.get("GUANXIN_LOCAL_DIR", REPOSITORY / ".local")).resolve()


def engines_dir() -> Path:
    """Return where engines are unpacked: kept by ``reset``, since they are downloads and not data."""
    return Path(os.environ.get("GUANXIN_ENGINES_DIR", local_dir() / "engines")).resolve()


def assets_dir() -> Path:
    """Return where the pages' style sheets and scripts are: downloads too."""
    return Path(os.environ.get("GUANXIN_ASSETS_DIR", local_dir() / "assets")).resolve()


def import_roots() -> list[Path]:
    """Return the directories whose packages are imported by their top-level names."""
    services = ("ingest", "spamfilter", "review", "dispatch", "billing-sync")
    return [REPOSITORY / "libs", REPOSITORY / "cli", *(REPOSITORY / "services" / name for name in services)]
