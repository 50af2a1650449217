"""For tests and benchmarks: PyPI's `jasmin`, whole, in an environment of its own, because it pins what we use newer.

Its SMPP client and its server's protocol run without the broker and the cache that the gateway around them needs.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import venv
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "tests" / "protocol" / "peers" / "jasmin"
BUILT = ROOT / ".local" / "peers" / "jasmin"
PYTHON = BUILT / "bin" / "python"
BUILD_TIMEOUT_S = 300.0


@cache
def missing() -> str:
    """Build the environment when it is not there; return why it cannot be, empty when it is."""
    lock = SOURCE / "requirements.lock"
    wanted = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    BUILT.parent.mkdir(parents=True, exist_ok=True)
    stamp = BUILT / "stamp"
    with BUILT.with_suffix(".lock").open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)  # test workers would build into each other
        if stamp.exists() and stamp.read_text() == wanted:
            return ""
        shutil.rmtree(BUILT, ignore_errors=True)
        venv.create(BUILT, with_pip=True)
        command = [str(PYTHON), "-m", "pip", "install", "-q", "--no-deps", "--require-hashes", "-r", str(lock)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            return f"jasmin cannot be installed here: not within {BUILD_TIMEOUT_S:.0f} s"
        if done.returncode:
            said = done.stderr.strip().splitlines()
            return f"jasmin cannot be installed here: {said[-1] if said else done.returncode}"
        stamp.write_text(wanted)
    return ""
