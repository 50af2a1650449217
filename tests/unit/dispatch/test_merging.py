"""Merging outcomes: the same is said of the same segments, in an order no consumer minds."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import envelope
from contracts.events.dispatch import CloseCause, SegmentState
from contracts.lanes import LANES
from dispatch.domain import outcomes
from dispatch.domain.merging import MOST_SEGMENTS, merged
from dispatch.domain.work import Head

HEADS = [Head(f"r{n}", f"{n:032x}", "demo", "e1", "demo:e1", LANES.index(LANES[1]), "") for n in (1, 2)]


def answered(chunk, indices, *, slot=1, senders=("106900001",), refs=(), resent=()):
    count = len(indices)
    head = HEADS[chunk]
    data = outcomes.SegmentsAnswered(
        chunk_id=head.chunk_id, enterprise="e1", link="l1", slot=slot, epoch=1, batch=indices[0], at=1, protocol="smpp34",
        carrier="CMCC", indices=list(indices), segments=[1] * count, totals=[1] * count, statuses=[0] * count,
        carrier_ids=[f"c{index}" for index in indices], recipients=[8613800000000 + index for index in indices],
        senders=list(senders), task_ids=["t"], refs=list(refs), resent=list(resent),
    )  # fmt: skip
    return outcomes.outcome(head, data, "answered", indices[0], 1)


def reported(chunk, indices):
    rows = [(index, 1, 1, SegmentState.DELIVERED, "DELIVRD:000", 5) for index in indices]
    return outcomes.outcome(HEADS[chunk], outcomes.reported(HEADS[chunk], "l1", 7, 2, rows), "reported", 7, 2)


def closed(chunk, indices):
    data = outcomes.closed(HEADS[chunk], 3, list(indices), CloseCause.CARRIER_REFUSED, "l1:x")
    return outcomes.outcome(HEADS[chunk], data, "refused", 9, 3)


def one_each(values, count):
    return values * count if len(values) == 1 else values or [""] * count


def said(events):
    """What a list of events says, segment by segment, and in which order per chunk its kinds come."""
    facts = []
    for event in events:
        data = envelope.decode(event.payload, event.type).data
        for position, index in enumerate(data.indices):
            fact = {"type": event.type, "chunk": data.chunk_id, "index": index}
            if event.type.endswith("Answered"):
                count = len(data.indices)
                fact |= {
                    "slot": data.slot, "id": data.carrier_ids[position], "to": data.recipients[position],
                    "from": one_each(data.senders, count)[position], "ref": one_each(data.refs, count)[position],
                    "resent": position in data.resent,
                }  # fmt: skip
            facts.append(fact)
    return facts


def test_answers_of_a_session_and_receipts_of_a_chunk_become_one_each():
    events = [answered(0, [0, 1]), reported(0, [0]), answered(0, [2]), answered(0, [3], slot=2), reported(0, [1, 2, 3])]
    found = merged(events)
    assert [(event.type.rsplit(".", 1)[-1], said([event])[0].get("slot"), len(said([event]))) for event in found] == [
        (events[0].type.rsplit(".", 1)[-1], 1, 3),
        (events[0].type.rsplit(".", 1)[-1], 2, 1),
        (events[1].type.rsplit(".", 1)[-1], None, 4),
    ]
    assert found[0].id == events[0].id
    assert envelope.decode(found[0].payload, found[0].type).id == envelope.decode(events[0].payload, events[0].type).id


def test_nothing_crosses_another_event_of_its_chunk():
    events = [answered(0, [0]), answered(1, [0]), closed(0, [5]), answered(0, [1]), answered(1, [1])]
    assert [[fact["index"] for fact in said([event])] for event in merged(events)] == [[0], [0, 1], [5], [1]]


def test_what_is_not_at_hand_is_a_wall_for_all():
    relayed = msgspec.structs.replace(closed(0, [5]), said=None)
    assert len(merged([answered(1, [0]), relayed, answered(1, [1])])) == 3


def test_a_merged_event_has_an_upper_size():
    events = [answered(0, list(range(first, first + 400))) for first in (0, 400, 800)]
    assert [len(said([event])) for event in merged(events)] == [MOST_SEGMENTS // 400 * 400, 400]


@pytest.mark.parametrize("second", [("106900001",), ("106900002",), ()])
def test_columns_that_stand_for_all_stand_for_each_where_they_differ(second):
    events = [answered(0, [0, 1], refs=["a", "b"], resent=[1]), answered(0, [2, 3], senders=second, resent=[0])]
    assert said(merged(events)) == said(events)


@given(
    st.lists(
        st.tuples(st.sampled_from([answered, reported, closed]), st.integers(0, 1), st.integers(1, 4)), max_size=12
    )
)
def test_nothing_is_lost_changed_or_doubled_and_no_receipt_overtakes_its_answer(plan):
    events, seen = [], [0, 0]
    for make, chunk, count in plan:
        if make is answered:
            events.append(answered(chunk, list(range(seen[chunk], seen[chunk] + count))))
            seen[chunk] += count
        elif seen[chunk]:
            events.append(make(chunk, [seen[chunk] - 1]))
    found = merged(events)
    key = repr
    assert sorted(said(found), key=key) == sorted(said(events), key=key)
    answers = set()
    for fact in said(found):
        if "id" in fact:
            answers.add((fact["chunk"], fact["index"]))
        else:
            assert (fact["chunk"], fact["index"]) in answers
