"""One message's way through a trace, put together from the span files that the local stack's processes write."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

_FOLLOWED = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f][13579bdf]\Z")
"""A W3C traceparent with the sampled bit set."""

_QUIET = ("messaging.", "guanxin.", "chunk_id", "http.")
"""Attributes that a reader of one message's trace knows already."""


def trace_of(traceparent: str) -> str:
    """Return the id of the trace, empty when it is not followed."""
    match = _FOLLOWED.match(traceparent)
    return match[1] if match else ""


def read(folder: Path, trace_id: str, chunk_id: str = "") -> list[dict[str, Any]]:
    """Return the spans of a trace, each after its parent, siblings by start, with ``after_ms``, ``took_ms`` and ``depth``.

    With ``chunk_id`` without those of other chunks of the same task.  A line that a process was killed in the middle of is
    passed over.
    """
    spans: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.jsonl*")):
        with path.open(encoding="utf-8", errors="replace") as stream:
            for line in stream:
                if trace_id not in line:
                    continue
                try:
                    span = json.loads(line)
                except ValueError:
                    continue
                if span["trace_id"] == trace_id and _concerns(span, chunk_id):
                    spans[span["span_id"]] = span
    begun = min((span["start_ns"] for span in spans.values()), default=0)
    ways = {span_id: _way(span_id, spans) for span_id in spans}
    for span_id, span in spans.items():
        span["after_ms"] = (span["start_ns"] - begun) / 1e6
        span["took_ms"] = (span["end_ns"] - span["start_ns"]) / 1e6
        span["depth"] = len(ways[span_id]) - 1
    return sorted(spans.values(), key=lambda span: ways[span["span_id"]])


def said(span: dict[str, Any]) -> str:
    """Return what a span says of itself, for a line of text."""
    attributes = span.get("attributes", {})
    return " ".join(f"{name}={value}" for name, value in attributes.items() if not name.startswith(_QUIET))


def _concerns(span: dict[str, Any], chunk_id: str) -> bool:
    attributes = span.get("attributes", {})
    own = attributes.get("chunk_id") or str(attributes.get("guanxin.event.id", "")).partition(":")[0]
    return not chunk_id or own in {"", chunk_id}


def _way(span_id: str, spans: dict[str, dict[str, Any]]) -> list[tuple[int, str]]:
    """Return (start, id) of a span's ancestors and itself: in this order a parent stands before its children."""
    way: dict[str, int] = {}
    while span_id in spans and span_id not in way:
        way[span_id] = spans[span_id]["start_ns"]
        span_id = spans[span_id]["parent_id"]
    return [(start, each) for each, start in reversed(way.items())]
