"""Columns of answers that are stored short: empty, one value for all, or one each."""

from __future__ import annotations

from collections.abc import Sequence


def one_of(values: Sequence[str], position: int) -> str:
    """Return the value that stands for ``position``."""
    if not values:
        return ""
    return values[0] if len(values) == 1 else values[position]
