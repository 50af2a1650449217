"""One trace, put together from the span files that the local stack's processes write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read(folder: Path, trace_id: str) -> list[dict[str, Any]]:
    """Return the spans of a trace in order of their start, each with ``after_ms``, ``took_ms`` and ``depth``.

    A line that a process was killed in the middle of is passed over.
    """
    spans: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.jsonl*")):
        with path.open(encoding="utf-8", errors="replace") as stream:
            for line in stream:
                if trace_id not in line:
                    continue
                try:
                    span = json.loads(line)
                except ValueError:
                    continue
                if span["trace_id"] == trace_id:
                    spans.append(span)
    spans.sort(key=lambda span: span["start_ns"])
    parents = {span["span_id"]: span["parent_id"] for span in spans}
    for span in spans:
        span["after_ms"] = (span["start_ns"] - spans[0]["start_ns"]) / 1e6
        span["took_ms"] = (span["end_ns"] - span["start_ns"]) / 1e6
        span["depth"] = _depth(span["span_id"], parents)
    return spans


def _depth(span_id: str, parents: dict[str, str]) -> int:
    depth, seen = 0, set()
    while (parent := parents.get(span_id, "")) in parents and parent not in seen:
        seen.add(parent)
        span_id = parent
        depth += 1
    return depth
