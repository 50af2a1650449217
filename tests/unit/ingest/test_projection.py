import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import events
from contracts.events.dispatch import CloseCause, SegmentState
from contracts.events.review import Decision
from contracts.events.spamfilter import Judgement, Verdict
from contracts.examples import examples
from contracts.states import State
from ingest.domain import vectors
from ingest.domain.identity import fresh_id, single_task_id
from ingest.domain.projection import CHUNK_EVENTS, ChunkState, apply, initial_segments

CHUNK = fresh_id(1_700_000_000_000, bytes(10))


def chunk(count: int = 4, parts: bytes | None = None) -> ChunkState:
    return ChunkState(vectors.fresh(count), initial_segments(parts or b"\1" * count))


def states(of: ChunkState) -> list[str]:
    return [State(octet).label for octet in of.vector]


def answered(indices, segments=None, totals=None, statuses=None):
    size = len(indices)
    return events.SegmentsAnswered(
        chunk_id=CHUNK, enterprise="e", link="l", slot=0, epoch=1, batch=1, at=1, protocol="smpp34", carrier="CMCC",
        indices=indices, segments=segments or [1] * size, totals=totals or [1] * size, statuses=statuses or [0] * size,
        carrier_ids=["x"] * size, recipients=[1] * size, senders=["1"], task_ids=["t"],
    )  # fmt: skip


def reported(indices, state=SegmentState.DELIVERED, segments=None, totals=None):
    size = len(indices)
    return events.SegmentsReported(
        chunk_id=CHUNK, enterprise="e", link="l", batch=1, at=1, indices=indices, segments=segments or [1] * size,
        totals=totals or [1] * size, states=[state] * size, codes=["DELIVRD:000"] * size, done_at=[0] * size,
    )  # fmt: skip


def uncertain(indices, segments=None):
    return events.SegmentsUncertain(
        chunk_id=CHUNK, enterprise="e", link="l", slot=0, epoch=1, at=1, indices=indices,
        segments=segments or [1] * len(indices), rule="resend",
    )  # fmt: skip


def closed(indices, cause, code=""):
    return events.MessagesClosed(chunk_id=CHUNK, enterprise="e", at=1, indices=indices, cause=cause, code=code)


def decided(decision, indices=None, task_id="", reason=""):
    return events.MessagesDecided(
        chunk_id=CHUNK, decision=decision, at=1, indices=indices, task_id=task_id, reason=reason
    )


def queued(indices=None, not_before=0):
    return events.MessagesQueued(chunk_id=CHUNK, at=1, indices=indices, not_before=not_before)


def test_the_usual_way_ends_delivered():
    of = chunk(2)
    seen = [states(of)]
    for event in (queued(), answered([0, 1]), reported([0]), reported([1])):
        apply(of, event)
        seen.append(states(of))
    assert seen == [
        ["accepted", "accepted"],
        ["queued", "queued"],
        ["submitted", "submitted"],
        ["delivered", "submitted"],
        ["delivered", "delivered"],
    ]


def test_blocked_messages_end_and_the_others_go_on():
    of = chunk(3)
    judgements = [Judgement(1, 1, Verdict.BLOCK, "keyword_block"), Judgement(2, 1, Verdict.HOLD, "keyword_hold")]
    apply(of, events.ChunkJudged(chunk_id=CHUNK, ruleset="1", screened_at=1, judgements=judgements))
    assert states(of) == ["accepted", "blocked", "accepted"]
    assert of.codes == {1: "keyword_block"}
    apply(of, queued([0]))
    assert of.waiting
    apply(of, decided(Decision.HELD, [2]))
    assert not of.waiting
    assert states(of) == ["queued", "blocked", "held"]


@pytest.mark.parametrize(
    ("decision", "state", "code"),
    [
        (Decision.REJECTED, "rejected", "9B-3"),
        (Decision.OUTSIDE_REVIEW_HOURS, "rejected", "outside_review_hours"),
        (Decision.OUTSIDE_SENDING_WINDOW, "rejected", "outside_sending_window"),
        (Decision.PORT_SUSPENDED, "rejected", "port_suspended"),
        (Decision.EXPIRED, "expired", "expired"),
        (Decision.WITHDRAWN, "cancelled", "withdrawn"),
    ],
)
def test_a_held_task_ends_as_review_decides(decision, state, code):
    of = chunk(2)
    apply(of, decided(Decision.HELD))
    apply(of, decided(Decision.CLAIMED))
    apply(of, decided(decision, reason="9B-3" if decision is Decision.REJECTED else ""))
    assert states(of) == [state, state]
    assert of.codes[0] == code


def test_an_approved_task_waits_until_dispatch_has_it():
    of = chunk(1)
    apply(of, decided(Decision.HELD))
    assert not of.waiting
    apply(of, decided(Decision.RELEASED))
    assert states(of) == ["queued"]
    assert of.waiting, "a lost release must be swept"
    apply(of, queued())
    assert not of.waiting


def test_a_direct_release_leaves_it_waiting_for_dispatch():
    of = chunk(1)
    apply(of, decided(Decision.RELEASED))
    assert states(of) == ["accepted"]
    assert of.waiting


def test_a_decision_on_a_single_messages_task_is_on_that_message_only():
    of = chunk(3)
    apply(of, decided(Decision.HELD, task_id=single_task_id(CHUNK, 1)))
    assert states(of) == ["accepted", "held", "accepted"]


def test_a_scheduled_message_says_so_also_after_review():
    of = chunk(2)
    apply(of, decided(Decision.HELD, [1]))
    apply(of, queued(not_before=5))
    assert states(of) == ["scheduled", "scheduled"]
    apply(of, queued())
    assert states(of) == ["queued", "queued"]


def test_delivered_when_all_segments_are():
    of = chunk(2, b"\3\1")
    apply(of, answered([0, 0, 0, 1], segments=[1, 2, 3, 1], totals=[3, 3, 3, 1]))
    assert states(of) == ["submitted", "submitted"]
    apply(of, reported([0, 0], segments=[3, 1], totals=[3, 3]))
    assert states(of) == ["submitted", "submitted"]
    apply(of, reported([0], segments=[2], totals=[3]))
    assert states(of) == ["delivered", "submitted"]


def test_failed_when_any_segment_failed():
    of = chunk(1, b"\2")
    apply(of, reported([0], segments=[1], totals=[2]))
    apply(of, reported([0], SegmentState.FAILED, segments=[2], totals=[2]))
    assert states(of) == ["failed"]


def test_a_link_that_cuts_otherwise_than_assumed():
    of = chunk(2)
    apply(of, answered([0, 0], segments=[1, 2], totals=[2, 2]))
    apply(of, reported([0], segments=[1], totals=[2]))
    assert states(of) == ["submitted", "accepted"]
    apply(of, reported([0], segments=[2], totals=[2]))
    assert states(of) == ["delivered", "accepted"]
    shorter = chunk(1, b"\3")
    apply(shorter, answered([0], totals=[1]))
    apply(shorter, reported([0]))
    assert states(shorter) == ["delivered"]


def test_uncertain_is_settled_by_an_answer_or_a_receipt():
    of = chunk(2)
    apply(of, uncertain([0, 1]))
    assert states(of) == ["uncertain", "uncertain"]
    apply(of, answered([0]))
    apply(of, reported([1]))
    assert states(of) == ["submitted", "delivered"]


def test_one_uncertain_segment_makes_the_message_uncertain():
    of = chunk(1, b"\2")
    apply(of, answered([0], segments=[1], totals=[2]))
    apply(of, uncertain([0], segments=[2]))
    assert states(of) == ["uncertain"]
    apply(of, answered([0], segments=[2], totals=[2]))
    assert states(of) == ["submitted"]


def test_a_carriers_refusal_fails_with_its_code():
    of = chunk(2)
    apply(of, answered([0, 1], statuses=[0, 11]))
    apply(of, closed([1], CloseCause.CARRIER_REFUSED, "11"))
    assert states(of) == ["submitted", "failed"]
    assert of.codes == {1: "carrier:11"}


@pytest.mark.parametrize(
    ("cause", "state"),
    [
        (CloseCause.EXPIRED, "expired"),
        (CloseCause.CANCELLED, "cancelled"),
        (CloseCause.OPTED_OUT, "blocked"),
        (CloseCause.FREQUENCY_CAP, "blocked"),
        (CloseCause.NO_ROUTE, "failed"),
        (CloseCause.NO_RECEIPT, "unknown"),
    ],
)
def test_every_way_of_closing_is_a_final_state(cause, state):
    of = chunk(1)
    apply(of, closed([0], cause))
    assert states(of) == [state]
    assert State(of.vector[0]).final


def test_a_late_receipt_is_better_knowledge_than_none():
    of = chunk(1)
    for event in (queued(), answered([0]), closed([0], CloseCause.NO_RECEIPT), reported([0])):
        apply(of, event)
    assert states(of) == ["delivered"]


def test_indices_outside_the_chunk_change_nothing():
    of = chunk(1)
    for event in (queued([7, -1]), answered([9]), reported([9]), uncertain([9]), closed([9], CloseCause.EXPIRED)):
        apply(of, event)
    assert states(of) == ["accepted"]


def test_segment_vectors_survive_storage():
    of = chunk(2, b"\2\1")
    apply(of, answered([0], segments=[1], totals=[2]))
    stored = ChunkState(bytes(of.vector), of.packed_segments(), of.uncharged)
    apply(stored, reported([0, 0], segments=[1, 2], totals=[2, 2]))
    assert states(stored) == ["delivered", "accepted"]


def test_events_that_say_nothing_about_messages_are_an_error():
    with pytest.raises(TypeError):
        apply(chunk(), events.TaskCancelled(task_id="t", enterprise="e", at=1))


def test_every_example_of_a_chunk_event_is_understood():
    seen = set()
    for envelope in examples().values():
        if type(envelope.data) in CHUNK_EVENTS:
            apply(chunk(), envelope.data)
            seen.add(type(envelope.data))
    assert seen == CHUNK_EVENTS


@given(st.integers(0, 1_000_000))
def test_the_order_of_topics_does_not_matter_for_the_end(seed):
    rng = random.Random(seed)
    parts = bytes(rng.choice((1, 1, 2, 3)) for _ in range(5))
    where = [(i, s) for i, total in enumerate(parts) for s in range(1, total + 1)]
    indices, segments = [i for i, _ in where], [s for _, s in where]
    totals = [parts[i] for i in indices]
    review = [decided(Decision.HELD), decided(Decision.RELEASED)]
    dispatch = [
        queued(),
        uncertain(indices, segments),
        answered(indices, segments, totals),
        reported(indices, segments=segments, totals=totals),
    ]
    of = chunk(5, parts)
    while review or dispatch:
        source = rng.choice([each for each in (review, dispatch) if each])
        apply(of, source.pop(0))
    assert states(of) == ["delivered"] * 5


def test_every_released_message_waits_for_dispatch_by_itself():
    of = chunk(3)
    apply(of, decided(Decision.HELD, [0, 1]))
    apply(of, queued([2]))
    assert not of.waiting
    apply(of, decided(Decision.RELEASED, [0]))
    apply(of, decided(Decision.RELEASED, [1]))
    assert (states(of), of.waiting) == (["queued", "queued", "queued"], True)
    apply(of, queued([0]))
    assert of.waiting, "the release of the second one may be lost"
    apply(of, queued([1], not_before=9))
    assert (states(of), of.waiting) == (["queued", "scheduled", "queued"], False)


def test_a_chunk_is_settled_when_all_is_final_and_charged():
    of = chunk(2)
    assert not of.unsettled, "what has not reached dispatch is the other sweeper's"
    apply(of, queued(None))
    assert of.unsettled
    apply(of, answered([0, 1], statuses=[0, 8]))
    apply(of, reported([0]))
    assert vectors.all_final(of.vector)
    assert of.unsettled, "one segment was accepted and is not charged"
    charged = events.SegmentsCharged(
        chunk_id=CHUNK, file_no=1, file_name="f", at=1, tariff="1", indices=[0], segments=[1], amounts=["0.03"]
    )
    apply(of, charged)
    assert not of.unsettled


def test_released_and_queued_are_one_to_a_caller():
    counts = vectors.count([bytes([State.RELEASED, State.QUEUED, State.DELIVERED])])
    assert (counts["queued"], counts["delivered"], sum(counts.values())) == (2, 1, 3)
