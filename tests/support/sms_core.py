"""For tests: SMSGate's sms-core (Java) as a peer, one JVM for many endpoints, spoken to in JSON lines.

The peer's own code is in ``tests/protocol/peers/sms-core``; it is built by Maven once per content, into ``.local``.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import itertools
import json
import os
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "tests" / "protocol" / "peers" / "sms-core"
BUILT = ROOT / ".local" / "peers" / "sms-core"
BUILD_TIMEOUT_S = 600.0
EVENT_TIMEOUT_S = 10.0


def missing() -> str:
    """Return why there can be no such peer on this machine; empty when there can."""
    absent = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    return f"{' and '.join(absent)} not installed: no Java peer" if absent else ""


def build() -> None:
    """Compile the peer and fetch its libraries, unless that was done for exactly these sources."""
    files = sorted(path for path in SOURCE.rglob("*") if path.is_file())
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    BUILT.mkdir(parents=True, exist_ok=True)
    stamp = BUILT / "stamp"
    with (BUILT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test workers would build into each other
        if stamp.exists() and stamp.read_text() == wanted:
            return
        shutil.rmtree(BUILT / "classes", ignore_errors=True)
        shutil.rmtree(BUILT / "maven-status", ignore_errors=True)
        command = [
            "mvn",
            "-q",
            "-B",
            "-C",
            "-f",
            str(SOURCE / "pom.xml"),
            f"-Dpeer.directory={BUILT}",
            "process-classes",
        ]
        for more in (["-o"], []):  # without the network where everything is there already
            done = subprocess.run(
                [*command, *more], capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False
            )
            if not done.returncode:
                break
        else:
            raise RuntimeError(f"the Java peer cannot be built:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
        stamp.write_text(wanted)


class Machine:
    """One running JVM. A thread reads its events and hands each to its endpoint's queue."""

    def __init__(self) -> None:
        self._names = itertools.count(1)
        self._queues: dict[str, queue.Queue[dict[str, Any] | None]] = {"peer": queue.Queue()}
        self._errors = (BUILT / f"stderr-{os.getpid()}.log").open("w+")
        self._process = subprocess.Popen(
            [
                *("java", "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Duser.timezone=Asia/Shanghai"),
                *("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{BUILT}/classes:{BUILT}/lib/*"),
                "guanxin.peer.Main",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        ready = self._queues["peer"].get(timeout=60)
        assert ready is not None, "the JVM did not start"
        assert ready["event"] == "ready"

    def endpoint(self) -> Endpoint:
        """Return a new endpoint; `listen` or `connect` makes it live."""
        name = f"e{next(self._names)}"
        self._queues[name] = queue.Queue()
        return Endpoint(self, name)

    def order(self, name: str, what: str, **more: Any) -> None:
        """Write one order."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, "endpoint": name, **more}) + "\n")
        self._process.stdin.flush()

    def take(self, name: str, seconds: float) -> dict[str, Any]:
        """Wait for the endpoint's next event."""
        try:
            event = self._queues[name].get(timeout=seconds)
        except queue.Empty:
            event = {"event": "nothing"}
        assert event is not None, "the JVM ended"
        return event

    def stop(self) -> None:
        """End the JVM."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event: dict[str, Any] = json.loads(line)
            self._queues[event["endpoint"]].put(event)
        for waiting in self._queues.values():
            waiting.put(None)


class Endpoint:
    """A server or a client of one protocol inside the JVM."""

    def __init__(self, machine: Machine, name: str) -> None:
        self._machine, self.name = machine, name
        self.seen: list[dict[str, Any]] = []
        self._pending: list[dict[str, Any]] = []

    async def listen(self, protocol: str, *, account: str = "gx", password: str = "secret", **more: Any) -> int:
        """Become a server; returns its port."""
        self.order("listen", protocol=protocol, account=account, password=password, **more)
        return int((await self.event("listening"))["port"])

    def connect(self, protocol: str, port: int, *, account: str = "gx", password: str = "secret", **more: Any) -> None:
        """Become a client; `bound` or `closed` comes as an event."""
        self.order("connect", protocol=protocol, port=port, account=account, password=password, **more)

    def order(self, what: str, **more: Any) -> None:
        """Give an order: release, cut, close."""
        self._machine.order(self.name, what, **more)

    async def answer(self, *, status: int = 0, hold: bool = False) -> None:
        """Have requests answered with that status, or not before `release`; returns when that is in force."""
        self.order("answer", status=status, hold=hold)
        await self.event("answering")

    def send(self, pdu: str, **fields: Any) -> None:
        """Have a PDU sent, by the library's own class and property names."""
        self.order("send", message={"pdu": pdu, **fields})

    async def event(self, name: str, pdu: str = "", **fields: Any) -> dict[str, Any]:
        """Return the first event of that name (and PDU, and field values) that was not returned before."""

        def fits(event: dict[str, Any]) -> bool:
            shown = event.get("fields", {})
            return (
                event["event"] == name
                and (not pdu or event.get("pdu") == pdu)
                and all(shown.get(key) == value for key, value in fields.items())
            )

        for place, event in enumerate(self._pending):
            if fits(event):
                return self._pending.pop(place)
        until = time.monotonic() + EVENT_TIMEOUT_S
        while True:
            left = max(0.0, until - time.monotonic())
            event = await asyncio.to_thread(self._machine.take, self.name, left)
            if event["event"] in {"nothing", "fault"} and event["event"] != name:
                raise AssertionError(f"{event} instead of {name} {pdu} {fields}; seen: {self.seen[-6:]}")
            self.seen.append(event)
            if fits(event):
                return event
            self._pending.append(event)

    async def got(self, pdu: str, **fields: Any) -> dict[str, Any]:
        """Return the fields of the next PDU of that class that arrived."""
        found: dict[str, Any] = (await self.event("got", pdu, **fields))["fields"]
        return found


@contextmanager
def running_machine() -> Iterator[Machine]:
    """Yield a JVM that is gone afterwards."""
    build()
    machine = Machine()
    try:
        yield machine
    finally:
        machine.stop()
