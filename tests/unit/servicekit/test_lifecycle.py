"""A service process as the supervisor sees it: it serves, stops in order, or crashes with a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, sys
from servicekit import lifecycle
from servicekit.settings import ServiceSettings
from servicekit.web import build_app

class Part:
    def __init__(self): self.over = asyncio.Event()
    async def run(self):
        await self.over.wait()
        print("run ended", flush=True)
    async def stop(self):
        print("stopped", flush=True)
        self.over.set()

async def compose(runtime):
    runtime.component("part", Part())
    async def drained(): print("drained", flush=True)
    async def closed(): print("closed", flush=True)
    runtime.on_drain(drained)
    runtime.on_close(closed)
    {extra}
    return build_app(runtime, title="Example")

lifecycle.run(ServiceSettings(service="example", http_port=0, shutdown_grace_s=5), compose)
"""


def start(extra: str = "pass") -> subprocess.Popen[str]:
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root / "libs"), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.replace("{extra}", extra)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def until(child: subprocess.Popen[str], word: str) -> str:
    assert child.stdout is not None
    for line in child.stdout:
        if word in line:
            return line
    raise AssertionError(f"{word} never said: {child.stderr.read()}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_in_order_and_exits_0(number):
    child = start()
    until(child, "service_started")
    child.send_signal(number)
    out, err = child.communicate(timeout=20)
    said = [line for line in out.splitlines() if not line.startswith("{")]
    assert said == ["stopped", "run ended", "drained", "closed"]
    assert child.returncode == 0, err


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("runtime.supervise('bad', lambda: asyncio.sleep(0.05, 1 / 0))", "ZeroDivisionError"),
        ("runtime.supervise('short', lambda: asyncio.sleep(0.05))", "'short' ended by itself"),
        ("raise LookupError('no table')", "no table"),
    ],
)
def test_a_task_that_dies_ends_the_process_with_its_traceback(extra, words):
    child = start(extra)
    out, err = child.communicate(timeout=20)
    assert child.returncode == 70
    assert words in err
    assert "drained" not in out, "what is in memory after a fault is not to be trusted"


def test_a_part_that_will_not_stop_is_left_behind_after_the_grace():
    extra = "runtime.settings.__dict__['shutdown_grace_s'] = 0.3; runtime.on_drain(lambda: asyncio.sleep(60))"
    child = start(extra)
    until(child, "service_started")
    child.send_signal(signal.SIGTERM)
    out, _ = child.communicate(timeout=20)
    assert child.returncode == 0
    assert "shutdown_phase_late" in out
    assert "closed" in out


def test_a_taken_port_is_said_at_once():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        program = PROGRAM.replace("http_port=0", f"http_port={port}").replace("{extra}", "pass")
        root = Path(__file__).parents[3]
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env={**os.environ, "PYTHONPATH": str(root / "libs")},
        )
    assert done.returncode == 70
    assert f"127.0.0.1:{port}" in done.stderr
