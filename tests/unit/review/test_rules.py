"""Policies, states, the checklist and the audit chain, all pure."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.chunk import Chunk, Entry
from contracts.events.spamfilter import ChunkScreened
from contracts.lanes import Lane
from review.domain import checklist as checklists
from review.domain.audit import GENESIS, Record, digest, verify
from review.domain.gate import (
    BULK,
    DIRECT,
    OUTSIDE_WINDOW,
    SPLIT,
    SUSPENDED,
    Count,
    Sums,
    in_window,
    plainly_direct,
    way_of_task,
)
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
from review.domain.policy import Policies, PortPolicy, Tier, Window


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


NINE, TEN_AT_NIGHT = 1_763_859_600_000, 1_763_906_400_000
"""2025-11-23 09:00 and 22:00 in Shanghai."""


@pytest.mark.parametrize(
    ("lane", "total", "now", "not_before", "window", "fits"),
    [
        (Lane.NOTICE, 51, NINE, 0, None, True),
        (Lane.NOTICE, 51, TEN_AT_NIGHT, 0, None, False),
        (Lane.NOTICE, 50, TEN_AT_NIGHT, 0, None, True),  # an account notice up to the threshold passes directly
        (Lane.INTERNAL, 51, TEN_AT_NIGHT, 0, None, False),
        (Lane.VERIFICATION, 500, TEN_AT_NIGHT, 0, None, True),
        (Lane.MARKETING, 1, TEN_AT_NIGHT, 0, None, False),
        (Lane.MARKETING, 1, TEN_AT_NIGHT, NINE + 86_400_000, None, True),  # goes tomorrow morning
        (Lane.MARKETING, 1, NINE, TEN_AT_NIGHT, None, False),
        (Lane.MARKETING, 1, TEN_AT_NIGHT, NINE, None, False),  # the time it was scheduled for is over
        (Lane.MARKETING, 1, TEN_AT_NIGHT, 0, Window(0, 1_440), True),
        (Lane.NOTICE, 51, NINE, 0, Window(10 * 60, 20 * 60), False),
    ],
)
def test_the_sending_window_is_for_marketing_and_bulk(lane, total, now, not_before, window, fits):
    entry = msgspec.structs.replace(task(total), not_before=not_before)
    policy = PortPolicy("10655", Tier.GENERAL, window=window)
    assert in_window(entry, lane, policy, 50, now, Window(8 * 60, 21 * 60)) is fits
    way = way_of_task(entry, policy, 50, None, timely=fits)
    assert way is (DIRECT if fits else OUTSIDE_WINDOW)


@given(
    st.sampled_from(list(Lane)),
    st.lists(st.tuples(st.integers(1, 80), st.sampled_from([0, NINE, TEN_AT_NIGHT, NINE + 86_400_000])), min_size=1),
    st.sampled_from([NINE, TEN_AT_NIGHT]),
)
def test_what_is_decided_at_a_glance_is_what_a_closer_look_decides(lane, tasks, now):
    window = Window(8 * 60, 21 * 60)
    policies = Policies(1, ports={("t1", "10655"): PortPolicy("10655", Tier.GENERAL)})
    entries = [msgspec.structs.replace(task(n), first=i, not_before=at) for i, (n, at) in enumerate(tasks)]
    size = len(entries)
    chunk = Chunk("c", "t1", "e1", lane, now, [8613800000000] * size, "M" * size, entries)
    if plainly_direct(ChunkScreened(chunk, "r1", now), lane, policies, now, window):
        policy = policies.of("t1", "10655")
        assert all(in_window(entry, lane, policy, 50, now, window) for entry in entries)


def test_what_holds_waits_whatever_the_hour_and_is_judged_when_it_is_decided():
    assert way_of_task(task(51), PortPolicy("10655", Tier.HIGH), 50, 51, timely=False) is BULK
