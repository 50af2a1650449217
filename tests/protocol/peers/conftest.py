"""What tests with foreign peers share; what they showed is kept by `shown`, of the folder above."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sms_core import Machine, running_machine


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """One JVM for all that is asked of SMSGate; its tests are of one group, so one worker starts it."""
    with running_machine() as machine:
        yield machine
