"""What the peers' tests showed, kept for ``docs/conformance.md``: see ``tests/support/conformance.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from conformance import Row, keep
from sms_core import Machine, running_machine

PEERS = {
    "test_sms_core": "SMSGate sms-core 2.1.13.5 (Java)",
    "test_smpp_peers": "npm smpp 0.6.0-rc.4",
    "test_kannel": "Kannel 1.4.5 (Debian)",
}


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """One JVM for all that is asked of SMSGate; its tests are of one group, so one worker starts it."""
    with running_machine() as machine:
        yield machine


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
