"""The book of a chunk: each segment opens once and closes once, whatever is repeated or out of order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_sync.domain.book import Book, fault_of
from billing_sync.domain.vector import Stage, Vector
from contracts.events.dispatch import CloseCause, MessagesClosed, SegmentsAnswered, SegmentsReported, SegmentState

CHUNK = "0" * 32


def answered(*segments, at=1000, statuses=None, resent=()) -> SegmentsAnswered:
    n = len(segments)
    return SegmentsAnswered(
        chunk_id=CHUNK, enterprise="e1", link="l", slot=0, epoch=1, batch=1, at=at, protocol="smpp34", carrier="CMCC",
        indices=[i for i, _ in segments], segments=[s for _, s in segments], totals=[3] * n,
        statuses=statuses or [0] * n, carrier_ids=[f"id{i}-{s}" for i, s in segments],
        recipients=[8613800000000 + i for i, _ in segments], senders=["1069"], task_ids=["t"], resent=list(resent),
    )  # fmt: skip


def reported(*segments, state=SegmentState.DELIVERED) -> SegmentsReported:
    n = len(segments)
    return SegmentsReported(
        chunk_id=CHUNK, enterprise="e1", link="l", batch=1, at=2000, indices=[i for i, _ in segments],
        segments=[s for _, s in segments], totals=[3] * n, states=[state] * n, codes=["DELIVRD:000"] * n,
        done_at=[1900] * n,
    )  # fmt: skip


def no_receipt(*indices) -> MessagesClosed:
    return MessagesClosed(chunk_id=CHUNK, enterprise="e1", at=3000, indices=list(indices), cause=CloseCause.NO_RECEIPT)


class Run:
    """Applies events, each round with a book read from what the one before stored."""

    def __init__(self) -> None:
        self.stored = Vector()
        self.early = {}
        self.answers = []
        self.closures = []

    def apply(self, *events):
        book = Book(CHUNK, Vector(self.stored.stride, self.stored.octets), "demo", "e1", early=dict(self.early))
        for event in events:
            if isinstance(event, SegmentsAnswered):
                book.answered(event, tenant="demo", lane="notice", tariff=1, now=5000)
            elif isinstance(event, SegmentsReported):
                book.reported(event, now=5000)
            else:
                book.closed(event, now=5000)
        self.stored, self.early = book.vector, book.early
        self.answers += book.answers
        self.closures += book.closures
        return book

    def opened(self):
        return [(i, s) for a in self.answers for i, s in zip(a.indices, a.segments, strict=True)]

    def closed(self):
        return [
            (i, s, Stage(stage), marked)
            for c in self.closures
            for i, s, stage, marked in zip(c.indices, c.segments, c.stages, c.marked, strict=True)
        ]


def test_an_answer_opens_and_a_receipt_closes():
    run = Run()
    run.apply(answered((0, 1), (1, 1)))
    assert run.stored.open == 2
    run.apply(reported((1, 1)), reported((0, 1), state=SegmentState.FAILED))
    assert run.closed() == [(1, 1, Stage.DELIVERED, False), (0, 1, Stage.FAILED, False)]
    assert run.stored.open == 0


def test_refused_segments_are_never_charged():
    run = Run()
    run.apply(answered((0, 1), (1, 1), statuses=[0, 11]))
    assert run.opened() == [(0, 1)]


def test_a_receipt_before_its_answer_closes_with_the_answer():
    run = Run()
    run.apply(reported((0, 2)))
    assert run.closed() == []
    run.apply(answered((0, 1), (0, 2)))
    assert run.opened() == [(0, 1), (0, 2)]
    assert run.closed() == [(0, 2, Stage.DELIVERED, False)]
    assert run.closures[0].done_at == [1900]
    assert run.early == {}


def test_a_segment_sent_twice_and_answered_twice_is_one_charge_marked():
    run = Run()
    run.apply(answered((0, 1)))
    assert run.apply(answered((0, 1), resent=[0])).repeated == 1
    run.apply(reported((0, 1)))
    assert run.opened() == [(0, 1)]
    assert run.closed() == [(0, 1, Stage.DELIVERED, True)]


def test_a_resent_segment_answered_once_is_marked():
    run = Run()
    run.apply(answered((0, 1), resent=[0]), reported((0, 1)))
    assert run.closed() == [(0, 1, Stage.DELIVERED, True)]


def test_a_receipt_that_knows_nothing_leaves_the_record_open():
    run = Run()
    run.apply(answered((0, 1)), reported((0, 1), state=SegmentState.UNKNOWN))
    assert run.closed() == []
    run.apply(reported((0, 1)))
    assert run.closed() == [(0, 1, Stage.DELIVERED, False)]


def test_what_dispatch_gave_up_closes_as_unknown_and_a_late_receipt_changes_nothing():
    run = Run()
    run.apply(answered((0, 1), (0, 2)), reported((0, 2)), no_receipt(0))
    assert run.closed() == [(0, 2, Stage.DELIVERED, False), (0, 1, Stage.UNKNOWN, False)]
    assert run.apply(reported((0, 1))).late == 1
    assert len(run.closed()) == 2


EVENTS = st.lists(
    st.one_of(
        st.lists(st.tuples(st.integers(0, 6), st.integers(1, 4)), min_size=1, max_size=4, unique=True).map(
            lambda keys: answered(*keys)
        ),
        st.lists(st.tuples(st.integers(0, 6), st.integers(1, 4)), min_size=1, max_size=4, unique=True).map(
            lambda keys: reported(*keys)
        ),
        st.lists(st.integers(0, 6), min_size=1, max_size=3, unique=True).map(lambda keys: no_receipt(*keys)),
    ),
    max_size=14,
)


@settings(max_examples=300)
@given(EVENTS, st.integers(0, 2**32), st.integers(1, 4))
def test_whatever_comes_in_whatever_order_every_segment_has_one_record_at_most(events, seed, repeat):
    rng = random.Random(seed)
    many = [event for event in events for _ in range(rng.randint(1, repeat))]
    rng.shuffle(many)
    run = Run()
    while many:
        size = rng.randint(1, 4)
        run.apply(*many[:size])
        many = many[size:]
    opened, closed = run.opened(), [(i, s) for i, s, _, _ in run.closed()]
    assert len(set(opened)) == len(opened)
    assert len(set(closed)) == len(closed)
    assert set(closed) <= set(opened)
    assert run.stored.open == len(opened) - len(closed)
    wanted = {
        (i, s) for e in events if isinstance(e, SegmentsAnswered) for i, s in zip(e.indices, e.segments, strict=True)
    }
    assert set(opened) == wanted
    received = {
        (i, s) for e in events if isinstance(e, SegmentsReported) for i, s in zip(e.indices, e.segments, strict=True)
    }
    assert wanted & received <= set(closed)


@given(st.lists(st.tuples(st.integers(0, 499), st.integers(1, 255), st.integers(1, 6)), max_size=30))
def test_a_vector_remembers_everything_while_it_grows(entries):
    vector, expected = Vector(), {}
    for index, segment, octet in entries:
        vector.set(index, segment, octet)
        expected[index, segment] = octet
    again = Vector(vector.stride, vector.octets)
    assert all(again.get(*key) == octet for key, octet in expected.items())
    assert again.open == sum(octet == Stage.OPEN for octet in expected.values())
    assert again.get(499, 255) == expected.get((499, 255), 0)


@pytest.mark.parametrize(
    "event",
    [
        answered((500, 1)),
        answered((-1, 1)),
        answered((0, 0)),
        answered((0, 256)),
        answered((0, 1), statuses=[0, 0]),
        answered((0, 1), resent=[1]),
        reported((0, 300)),
        no_receipt(500),
    ],
)
def test_an_inconsistent_event_is_named(event):
    assert fault_of(event)


def test_consistent_events_have_no_fault():
    assert not fault_of(answered((0, 1), (499, 255)))
    assert not fault_of(reported((0, 1)))
    assert not fault_of(no_receipt(0))
