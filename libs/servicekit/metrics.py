"""Metrics are declared once: name, kind, unit, meaning, labels; what is exposed and what is documented are the same
list.

Each package keeps its declarations in its own `metrics` module (see `MODULES`).  ``python -m servicekit.metrics``
prints the table of all.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

MODULES = (
    "servicekit.own_metrics",
    "bus.metrics",
    "links.metrics",
    "console.metrics",
    "ingest.metrics",
    "spamfilter.metrics",
    "review.metrics",
    "dispatch.metrics",
    "billing_sync.metrics",
)
"""Where packages declare; a module that does not exist declares nothing."""

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Seconds; dense around the aims of the hot path (a code is accepted and submitted within 50 ms)."""

_NAME = re.compile(r"guanxin_[a-z0-9]+(_[a-z0-9]+)+\Z")
_LABEL = re.compile(r"[a-z][a-z0-9_]*\Z")

M = TypeVar("M", Counter, Gauge, Histogram)


@dataclass(frozen=True, slots=True)
class Declared:
    """One metric as it is documented."""

    name: str
    kind: str
    unit: str
    meaning: str
    labels: tuple[str, ...]


_declared: dict[str, Declared] = {}


def counter(
    name: str, unit: str, meaning: str, labels: Sequence[str] = (), registry: CollectorRegistry = REGISTRY
) -> Counter:
    """Declare a count that only rises; the name ends in ``_total``."""
    if not name.endswith("_total"):
        raise ValueError(f"a counter's name ends in _total: {name}")
    return _declare(Counter(name, meaning, labels, registry=registry), name, "counter", unit, meaning, labels)


def gauge(
    name: str, unit: str, meaning: str, labels: Sequence[str] = (), registry: CollectorRegistry = REGISTRY
) -> Gauge:
    """Declare a value that rises and falls."""
    return _declare(Gauge(name, meaning, labels, registry=registry), name, "gauge", unit, meaning, labels)


def histogram(
    name: str,
    unit: str,
    meaning: str,
    labels: Sequence[str] = (),
    buckets: Sequence[float] = LATENCY_BUCKETS,
    registry: CollectorRegistry = REGISTRY,
) -> Histogram:
    """Declare a distribution; ``buckets`` are upper bounds in ``unit``."""
    metric = Histogram(name, meaning, labels, buckets=buckets, registry=registry)
    return _declare(metric, name, "histogram", unit, meaning, labels)


def declared() -> list[Declared]:
    """Return everything declared so far, by name."""
    return [_declared[name] for name in sorted(_declared)]


def exposition() -> tuple[bytes, str]:
    """Return the text for ``/metrics`` and its content type."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST


def table(rows: Sequence[Declared]) -> str:
    """Return the documentation's table in Markdown."""
    lines = ["| metric | kind | unit | labels | meaning |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| `{r.name}` | {r.kind} | {r.unit} | {', '.join(r.labels)} | {r.meaning} |" for r in rows]
    return "\n".join(lines) + "\n"


def load(modules: Sequence[str] = MODULES) -> None:
    """Import every declaring module that exists, so that `declared` is complete."""
    for module in modules:
        package = module.partition(".")[0]
        if importlib.util.find_spec(package) is not None and importlib.util.find_spec(module) is not None:
            importlib.import_module(module)


def _declare(metric: M, name: str, kind: str, unit: str, meaning: str, labels: Sequence[str]) -> M:
    if not _NAME.match(name):
        raise ValueError(f"not a metric name of ours: {name}")
    if not unit or not meaning or not all(_LABEL.match(label) for label in labels):
        raise ValueError(f"{name}: unit, meaning and labels must be given")
    _declared[name] = Declared(name, kind, unit, meaning, tuple(labels))
    return metric


if __name__ == "__main__":
    # The module runs as __main__ here; the declarations live in the imported one.
    from servicekit import metrics as this  # noqa: PLW0406

    this.load(sys.argv[1:] or MODULES)
    sys.stdout.write(this.table(this.declared()))
