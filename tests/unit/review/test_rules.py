"""Policies, states, the checklist and the audit chain, all pure."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.chunk import Entry
from review.domain import checklist as checklists
from review.domain.audit import GENESIS, Record, digest, verify
from review.domain.gate import BULK, DIRECT, SPLIT, SUSPENDED, Count, Sums, way_of_task
from review.domain.item import (
    ESCALATE_MS,
    MOVES,
    OPEN,
    WARN_MS,
    ItemState,
    Urgency,
    may,
    own_task,
    said,
    sources,
    urgency,
)
from review.domain.policy import Policies, PortPolicy, Tier


def task(total):
    return Entry(task_id="t", first=0, count=1, port="10655", pieces=["x"], expires_at=0, task_total=total)


@pytest.mark.parametrize(
    ("tier", "total", "sum_of_content", "way"),
    [
        (Tier.HIGH, 50, 50, DIRECT),
        (Tier.HIGH, 51, 51, BULK),
        (Tier.HIGH, 1, 51, SPLIT),
        (Tier.HIGH, 1, None, DIRECT),
        (Tier.HIGH, 51, None, BULK),
        (Tier.GENERAL, 100_000, 100_000, DIRECT),
        (Tier.TRUSTED, 100_000, 100_000, DIRECT),
    ],
)
def test_exactly_the_threshold_passes_and_one_more_is_held(tier, total, sum_of_content, way):
    assert way_of_task(task(total), PortPolicy("10655", tier), 50, sum_of_content) is way


def test_a_suspended_port_is_refused_whatever_its_tier():
    assert way_of_task(task(1), PortPolicy("10655", Tier.TRUSTED, suspended=True), 50, None) is SUSPENDED


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20)), max_size=40))
def test_sums_are_those_of_the_window(sends):
    sums, seen = Sums(10, {}), []
    for minute, messages in sorted(sends):
        seen.append((minute, messages))
        expected = sum(n for m, n in seen if minute - 10 < m <= minute)
        assert sums.add(Count("t", "e", 1, minute, messages)) == expected


def test_the_longest_prefix_decides_and_the_unknown_are_of_the_default_tier():
    ports = {
        ("t", "1065"): PortPolicy("1065", Tier.GENERAL, enterprise="e"),
        ("t", "10655"): PortPolicy("10655", Tier.TRUSTED, enterprise="e"),
    }
    policies = Policies(1, ports=ports)
    assert policies.of("t", "1065599").port == "10655"
    assert policies.of("t", "106588").port == "1065"
    assert policies.of("t", "95598").tier is Tier.HIGH
    assert policies.of("other", "10655").tier is Tier.HIGH


def test_the_traffic_of_an_enterprise_with_a_high_risk_port_adds_up_over_all_its_ports():
    ports = {
        ("t", "1"): PortPolicy("1", Tier.HIGH, enterprise="e"),
        ("t", "2"): PortPolicy("2", Tier.TRUSTED, enterprise="e"),
        ("t", "3"): PortPolicy("3", Tier.TRUSTED, enterprise="f"),
    }
    policies = Policies(1, ports=ports)
    assert policies.counts("t", "e", ports["t", "2"])
    assert not policies.counts("t", "f", ports["t", "3"])


def test_thresholds_port_before_tenant_before_installation():
    policies = Policies(1, default_threshold=50, thresholds={"t": 30})
    assert policies.threshold_of("t", PortPolicy("1", Tier.HIGH)) == 30
    assert policies.threshold_of("t", PortPolicy("1", Tier.HIGH, threshold=0)) == 0
    assert policies.threshold_of("u", PortPolicy("1", Tier.HIGH)) == 50


def test_only_open_states_lead_to_a_decision_and_ends_lead_nowhere():
    assert set(sources(ItemState.REJECTED)) == {"claimed"}
    ends = [s for s in ItemState if not MOVES[s]]
    assert set(ends) == {
        ItemState.EXPIRED,
        ItemState.WITHDRAWN,
        ItemState.OUTSIDE_REVIEW_HOURS,
        ItemState.OUTSIDE_SENDING_WINDOW,
    }
    for state in OPEN:
        assert may(state, ItemState.EXPIRED)
        assert may(state, ItemState.WITHDRAWN)
    assert {said(state) for state in ItemState} >= {said(ItemState.APPROVED)}


def test_urgency_warns_at_45_and_escalates_at_60_minutes():
    assert [urgency(0, at) for at in (0, WARN_MS - 1, WARN_MS, ESCALATE_MS - 1, ESCALATE_MS)] == [
        Urgency.FRESH,
        Urgency.FRESH,
        Urgency.WARN,
        Urgency.WARN,
        Urgency.ESCALATED,
    ]


def test_own_tasks_are_known_by_name_and_by_linked_api_user():
    assert own_task("wei", "wei", [])
    assert own_task("crm", "wei", ["crm"])
    assert not own_task("", "wei", [""])
    assert not own_task("crm", "wei", ["oa"])


def chain(length):
    prev, records = GENESIS, []
    for seq in range(1, length + 1):
        record = Record("t", seq, seq * 10, "wei", "reviewer", "task.approve", f"task{seq}", {"note": "好"}, prev)
        record = replace(record, hash=digest(record))
        prev = record.hash
        records.append(record)
    return records


def test_a_whole_chain_is_whole_also_in_slices():
    records = chain(7)
    whole = verify(records)
    assert (whole.records, whole.broken_at, whole.head) == (7, 0, records[-1].hash)
    assert verify(records[3:], verify(records[:3])) == whole


@pytest.mark.parametrize("field", ["at", "actor", "role", "action", "subject", "detail"])
def test_any_changed_field_is_noticed(field):
    records = chain(5)
    value = {"at": 1, "detail": {}}.get(field, "x")
    records[2] = replace(records[2], **{field: value})
    found = verify(records)
    assert (found.broken_at, found.cause) == (3, "changed")


def test_removed_inserted_and_relinked_records_are_noticed():
    records = chain(5)
    assert verify(records[:2] + records[3:]).cause == "missing"
    forged = replace(records[2], actor="x")
    forged = replace(forged, hash=digest(forged))
    assert verify([*records[:2], forged, *records[3:]]).broken_at == 4


def test_the_shipped_checklist_has_the_nine_the_five_and_the_business_rules():
    from pathlib import Path

    import review.domain

    shipped = checklists.parse((Path(review.domain.__file__).parent / "checklist.json").read_bytes())
    groups = [item.group for item in shipped.items]
    assert (groups.count("9B"), groups.count("GA")) == (9, 5)
    assert all(item.zh and item.en for item in shipped.items)
    assert "FM-1" not in shipped.penalties()


@pytest.mark.parametrize(
    "items",
    [
        [{"code": "a", "group": "g", "zh": "x", "en": "x"}] * 2,
        [{"code": "a", "group": "h", "zh": "x", "en": "x"}],
    ],
)
def test_a_checklist_with_a_double_or_stray_code_is_refused(items):
    import msgspec

    group = {"code": "g", "zh": "g", "en": "g"}
    body = {"version": "1", "note_zh": "", "note_en": "", "groups": [group], "items": items}
    with pytest.raises(ValueError, match=r"twice|without"):
        checklists.parse(msgspec.json.encode(body))
