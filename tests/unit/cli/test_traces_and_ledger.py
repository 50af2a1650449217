"""Traces put together from files, and both sides of the ledger."""

from __future__ import annotations

import json

import pytest

from guanxin import traces
from guanxin.ledger import compare


def _span(span_id, parent, start, name):
    return {
        "trace_id": "a" * 32, "span_id": span_id, "parent_id": parent, "start_ns": start, "end_ns": start + 2_000_000,
        "name": name, "service": "s",
    }  # fmt: skip


def test_a_trace_is_ordered_and_nested(tmp_path) -> None:
    lines = [_span("3", "2", 30_000_000, "submit"), _span("1", "", 10_000_000, "POST")]
    (tmp_path / "dispatch-1.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"trace_id": "' + "a" * 32)
    other = {**_span("9", "", 1, "other"), "trace_id": "b" * 32}
    (tmp_path / "review-1.jsonl.1").write_text(
        json.dumps(_span("2", "1", 20_000_000, "gate")) + "\n" + json.dumps(other)
    )
    spans = traces.read(tmp_path, "a" * 32)
    assert [(span["name"], span["depth"], span["after_ms"], span["took_ms"]) for span in spans] == [
        ("POST", 0, 0.0, 2.0),
        ("gate", 1, 10.0, 2.0),
        ("submit", 2, 20.0, 2.0),
    ]
    assert traces.read(tmp_path, "c" * 32) == []


def test_a_trace_of_a_task_shows_one_message_s_chunk(tmp_path) -> None:
    mine, other = "1" * 32, "2" * 32
    screened = {**_span("2", "1", 20_000_000, "screen"), "attributes": {"guanxin.event.id": f"{mine}:accepted:0"}}
    elsewhere = {**_span("3", "1", 15_000_000, "screen"), "attributes": {"guanxin.event.id": f"{other}:accepted:0"}}
    receipts = [
        {**_span(str(n), "2", n * 1_000_000, "receipt"), "attributes": {"chunk_id": chunk, "segments": n}}
        for n, chunk in ((40, mine), (41, other))
    ]
    late = _span("4", "1", 30_000_000, "notify")
    lines = [late, *receipts, elsewhere, screened, _span("1", "", 10_000_000, "POST")]
    (tmp_path / "a-1.jsonl").write_text("\n".join(map(json.dumps, lines)))
    spans = traces.read(tmp_path, "a" * 32, mine)
    # A branch stands together, whatever began elsewhere meanwhile.
    assert [(span["span_id"], span["depth"]) for span in spans] == [("1", 0), ("2", 1), ("40", 2), ("4", 1)]
    assert [traces.said(span) for span in spans] == ["", "", "segments=40", ""]


@pytest.mark.parametrize(("flags", "followed"), [("01", True), ("03", True), ("00", False), ("02", False)])
def test_only_a_followed_trace_is_looked_for(flags, followed) -> None:
    assert traces.trace_of(f"00-{'a' * 32}-{'b' * 16}-{flags}") == ("a" * 32 if followed else "")
    assert traces.trace_of("") == ""


def test_the_ledger_finds_what_no_carrier_saw() -> None:
    ours = {"accepted": 10, "states": {"delivered": 6, "submitted": 2, "failed": 1, "held": 1, "queued": 0}}
    theirs = {"submits": 9, "accepted": 9, "distinct": 7, "duplicates": 2, "max_submits_in_1s": 5}
    ledger = compare(ours, [theirs])
    assert (ledger.lost, ledger.duplicated, ledger.unaccounted, ledger.holds) == (1, 2, 0, False)
    assert "queued" not in ledger.states
    assert compare(ours, [theirs, {**theirs, "distinct": 1, "max_submits_in_1s": 9}]).carrier["max_submits_in_1s"] == 9


def test_a_message_in_no_state_is_found() -> None:
    ledger = compare({"accepted": 3, "states": {"delivered": 2}}, [])
    assert (ledger.unaccounted, ledger.holds, ledger.carrier) == (1, False, None)
