"""Foreign implementations that can be driven as ours: what they cost a PDU, and how fast they submit to our simulator.

Each runs in its own process and speaks JSON lines; one that cannot run here is left out, with the reason.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

import jasmin_peer  # noqa: E402 - found by the line above
import sms_core  # noqa: E402
import sms_core_forms  # noqa: E402

Order = dict[str, Any]
Answer = dict[str, Any]
MODULES = ROOT / ".local" / "npm" / "node_modules"


class Peer:
    """One implementation: its name, the protocols it speaks, the command that runs it, why it cannot."""

    def __init__(self, name: str, protocols: tuple[str, ...], command: Callable[[], list[str]], missing: str) -> None:
        self.name, self.protocols, self._command, self.missing = name, protocols, command, missing
        self.compiled = "Java" in name  # needs a longer run to warm up, and is quick enough for it

    def ask(self, order: Order, seconds: float = 120.0) -> Answer:
        """The answer to one order, by a process of its own. Raises ``RuntimeError`` with what it said instead."""
        environment = {**os.environ, "NODE_PATH": str(MODULES)}
        done = subprocess.run(
            self._command(), input=json.dumps(order) + "\n", capture_output=True, text=True, timeout=seconds,
            env=environment, check=False,
        )  # fmt: skip
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if not lines:
            raise RuntimeError(f"{self.name}: {done.stderr[-500:]}")
        answer: Answer = json.loads(lines[-1])
        return answer


def peers() -> list[Peer]:
    """All there are, those that cannot run here too."""
    everything = ("cmpp20", "cmpp30", "sgip12", "smgp30", "smpp34")
    java = sms_core.missing()
    if not java:
        sms_core.build()
    built = sms_core.BUILT
    npm = (
        "" if shutil.which("node") and (MODULES / "smpp").is_dir() else "node or the npm package smpp is not installed"
    )
    return [
        Peer(
            "sms-core (Java)",
            everything,
            lambda: [
                "java", "-XX:+UseSerialGC", "-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp",
                f"{built}/classes:{built}/lib/*", "guanxin.peer.Speed",
            ],
            java,
        ),
        Peer("npm smpp", ("smpp34",), lambda: ["node", str(HERE / "npm.js")], npm),
        Peer("jasmin", ("smpp34",), lambda: [str(jasmin_peer.PYTHON), str(HERE / "jasmin_client.py")], jasmin_peer.missing()),
        Peer("smpplib", ("smpp34",), lambda: [sys.executable, str(HERE / "smpplib_peer.py")], ""),
    ]  # fmt: skip


def message_for_java(protocol: str) -> Answer:
    """The submit of ``Speed.pump``, in the library's own words."""
    form = sms_core_forms.FORMS[protocol]
    fields = form.fill_submit(
        "95598", "13800000001", form.text("尊敬的客户您好，您的电费账单已出，请及时缴纳", 8), False
    )
    return {"pdu": form.submit, **fields}


def waited(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether it became true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return False
