"""Charts as data: the option object ECharts draws, made on the server, carried in an attribute, drawn by `console.js`.

Colours come from the page's theme in the browser; tooltips are drawn as rich text, because the content security policy allows no
inline style.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec


def stacked_bars(categories: Sequence[str], series: Sequence[tuple[str, Sequence[float], str]]) -> str:
    """Return bars on top of each other; a series is (name, values, colour name of `console.js`)."""
    return _encode(
        {
            "tooltip": {"trigger": "axis", "axisPointer": {"type": "shadow"}},
            "legend": {"top": 0},
            "xAxis": {"type": "category", "data": list(categories)},
            "yAxis": {"type": "value", "minInterval": 1},
            "series": [
                {"name": name, "type": "bar", "stack": "all", "data": list(values), "color": colour, "barMaxWidth": 36}
                for name, values, colour in series
            ],
        }
    )


def bars_across(categories: Sequence[str], name: str, values: Sequence[float], colour: str) -> str:
    """Return horizontal bars, the first category on top."""
    return _encode(
        {
            "tooltip": {"trigger": "axis", "axisPointer": {"type": "shadow"}},
            "xAxis": {"type": "value"},
            "yAxis": {"type": "category", "data": list(categories), "inverse": True},
            "series": [{"name": name, "type": "bar", "data": list(values), "color": colour, "barMaxWidth": 22}],
        }
    )


def _encode(option: dict[str, Any]) -> str:
    return msgspec.json.encode(option).decode()
