"""What the tests with foreign peers showed, kept for ``docs/conformance.md``: see ``tests/support/conformance.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from conformance import Row, keep

PEERS = {
    "test_sms_core": "SMSGate sms-core 2.1.13.5 (Java)",
    "test_smpp_peers": "npm smpp 0.6.0-rc.4",
    "test_kannel": "Kannel 1.4.5 (Debian)",
    "test_gammu": "Gammu 1.42.0 (Debian)",
    "test_libwbxml": "libwbxml 0.11.8 (Debian)",
}


@pytest.fixture
def shown(request: pytest.FixtureRequest) -> Iterator[Callable[..., None]]:
    """Say what a test showed: protocol, our role, subjects. It counts only when the test passed to its end."""
    rows: list[Row] = []
    module = request.module.__name__.rpartition(".")[2]
    usual = next((peer for start, peer in PEERS.items() if module.startswith(start)), module)

    def say(protocol: str, role: str, *subjects: str, peer: str = "") -> None:
        rows.extend(Row(protocol, subject, role, peer or usual) for subject in subjects)

    yield say
    keep(rows, request.node.nodeid)
