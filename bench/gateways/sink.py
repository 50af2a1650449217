"""The two ends that are the same for every gateway: the simulated carrier (SMPP 3.4) and who is told of receipts."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from gateways.programs import Program, free_port

SESSIONS, WINDOW = 4, 100
"""What is agreed with the carrier, the same for all: sessions, and submits under way on each."""
RECEIPT_S = 0.5
"""From a submit to its receipt."""
ACCOUNT, SECRET = "bench", "secret"  # SMPP has room for 8 characters


def behaviour(*, receipts: bool) -> dict[str, Any]:
    """Return how the simulated carrier behaves.

    Receipts come late enough not to overtake, on another session, the answer to their submit: gateways that know a message only from
    its answer on lose receipts otherwise (Kannel 1 to 10 % of them with 50 ms on a busy machine).
    """
    return {"receipts": receipts, "receipt_delay_ms": RECEIPT_S * 1e3}


def ask(url: str) -> dict[str, Any]:
    """Return the JSON document at ``url``."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        document: dict[str, Any] = json.load(answer)
        return document


def answers(url: str) -> bool:
    """Return whether somebody answers at ``url``."""
    try:
        ask(url)
    except (urllib.error.URLError, OSError):
        return False
    return True


class Carrier:
    """The simulated carrier, for gateways that bring none."""

    def __init__(self, folder: Path, *, receipts: bool) -> None:
        self.port, http = free_port(), free_port()
        self.url = f"http://127.0.0.1:{http}"
        self.program = Program(
            "carrier",
            [
                sys.executable, "-m", "sim.carrier", "--protocol", "smpp34", "--port", str(self.port),
                "--http-port", str(http), "--account", f"{ACCOUNT}:{SECRET}:{SESSIONS}",
                "--faults", json.dumps(behaviour(receipts=receipts)),
            ],
            folder,
        )  # fmt: skip

    def start(self) -> None:
        self.program.start(lambda: answers(f"{self.url}/stats"))

    def bound(self) -> int:
        """Return how many sessions are open."""
        return int(ask(f"{self.url}/stats")["sessions"])


class Callbacks:
    """Who is told of receipts."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.program = Program(
            "callbacks", [sys.executable, str(Path(__file__).with_name("callbacks.py")), str(self.port)], folder
        )

    def start(self) -> None:
        self.program.start(lambda: answers(f"{self.url}/stats"))

    def stats(self) -> dict[str, Any]:
        """Return calls, receipts, distinct messages and the time of the latest."""
        return ask(f"{self.url}/stats")
