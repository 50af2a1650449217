"""How a failure scenario ends: its figures are printed, noted for the report where asked for, and must hold."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from chaos import report
from chaos.reckoning import Figures
from chaos.upstream import HELD, SPAM

FULL = "GUANXIN_CHAOS_MESSAGES" in os.environ
"""Whether every scenario runs (`make chaos`); else only the short ones do, as a part of `make test`."""

SHORT = {"test_everything_fails_once"}
PATIENCE_S = 1_800


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """One scenario at a time, with time to recover in; in a short run only the one that touches everything."""
    here = Path(__file__).parent
    left_out = []
    for item in items:
        if here not in item.path.parents:
            continue
        item.add_marker(pytest.mark.xdist_group("chaos"))
        item.add_marker(pytest.mark.timeout(PATIENCE_S))
        if item.path.name.startswith("test_stage"):
            continue
        item.add_marker(pytest.mark.chaos)
        if not FULL and item.originalname not in SHORT:  # type: ignore[attr-defined]
            left_out.append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def holds() -> Callable[[Figures], None]:
    """Print a scenario's figures, note them where a report is wanted, and fail where something does not hold."""

    def judge(figures: Figures) -> None:
        wrong = figures.wrong(held=HELD, blocked=SPAM)
        print(report.lines(figures, wrong))  # noqa: T201 - the result of the run
        report.note(figures, wrong)
        assert not wrong, f"{figures.scenario} (seed {figures.seed}): " + "; ".join(wrong)

    return judge
