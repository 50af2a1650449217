"""A running gateway in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from carrier_client import Carrier, running_carrier


@pytest.fixture
async def carrier() -> AsyncIterator[Carrier]:
    async with running_carrier() as running:
        yield running
