"""Whole local stacks for tests: `RunningStack` is one, with its own directory, driven only by the `guanxin` command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guanxin.stack import paths

UP_TIMEOUT_S = 180
ENGINES_ONLY = """
[stack]
workers = { ingest = 0, spamfilter = 0, review = 0, dispatch = 0, billing-sync = 0 }
simulators = []
demo = false
"""


def await_until(condition: Callable[[], Any], what: str, timeout_s: float = 30.0) -> Any:
    """Return the first true answer of ``condition``; fails with ``what`` when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return value


@dataclass
class RunningStack:
    """A stack in ``local``; nothing of it may outlive the test that made it."""

    local: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its commands: own state, the downloads shared."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GUANXIN_")}
        return {
            **kept,
            "PYTHONPATH": os.pathsep.join(str(root) for root in paths.import_roots()),
            "GUANXIN_LOCAL_DIR": str(self.local),
            "GUANXIN_ENGINES_DIR": str(paths.engines_dir()),
            "GUANXIN_ASSETS_DIR": str(paths.assets_dir()),
            "GUANXIN_LANG": "en",
        }

    def command(self, *arguments: str) -> list[str]:
        """The command line of ``guanxin ARGUMENTS``."""
        return [sys.executable, "-m", "guanxin.main", *arguments]

    def cli(
        self, *arguments: str, check: bool = True, timeout_s: float = UP_TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        """Run ``guanxin ARGUMENTS`` to its end."""
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
        assert not check or done.returncode == 0, f"{arguments} -> {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def up(self, config: str | None = None) -> dict[str, Any]:
        """Bring it up in the background and return its status."""
        arguments = []
        if config is not None:
            self.local.mkdir(parents=True, exist_ok=True)
            path = self.local / "stack.toml"
            path.write_text(config, encoding="utf-8")
            arguments = ["--config", str(path)]
        document: dict[str, Any] = json.loads(self.cli("stack", "up", "--detach", "--json", *arguments).stdout)
        return document

    def status(self) -> dict[str, Any]:
        """Return the document of ``status --json``, also of a stack that is down."""
        document: dict[str, Any] = json.loads(self.cli("stack", "status", "--json", check=False).stdout)
        return document

    def component(self, name: str) -> dict[str, Any]:
        """Return one component's entry."""
        return next(item for item in self.status()["components"] if item["name"] == name)

    def down(self) -> None:
        """Stop it."""
        self.cli("stack", "down")
