"""Every protocol against its misbehaving carrier: 2,000 messages, nothing lost, all receipts matched."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from carrier.dialects import NAMES


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    """The benchmark of 100,000 messages, as a module: the same run, shorter."""
    path = Path(__file__).parents[3] / "bench" / "protocols.py"
    spec = importlib.util.spec_from_file_location("bench_protocols", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("protocol", NAMES)
async def test_nothing_is_lost_and_every_receipt_matched(bench: ModuleType, protocol: str) -> None:
    faults = msgspec.structs.replace(bench.FAULTS, disconnect_every_s=0.1, fragment_octets=700)
    result = await bench.prove(protocol, 2000, faults, seconds=60)
    assert (result.lost, result.without_receipt, result.unmatched) == (0, 0, 0)
    # The carrier really misbehaved.
    assert result.cuts > 0
    assert result.throttled > 0
    assert result.doubled_receipts > 0
