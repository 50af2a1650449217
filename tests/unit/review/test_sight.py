"""What a part shows, and which item of its task it belongs to."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.chunk import Chunk, Entry
from contracts.events.spamfilter import ChunkScreened, Finding, Judgement, Verdict
from contracts.lanes import Lane
from review.domain.item import OPEN, ItemState
from review.domain.sight import (
    Placing,
    Standing,
    judgements_by_index,
    late_cluster,
    place,
    round_entropy,
    sights_of,
)

CONTENT, LOAN, BET = 1, 2, 3
FINDING = Finding("fin-01", "finance", "hold", (0, 2), "贷款")


def item(number, state, *seen):
    return Standing(f"i{number}", number, state, False, {CONTENT, *seen})


@pytest.mark.parametrize(
    ("states", "digests", "placing", "number"),
    [
        ([], {CONTENT}, Placing.OPENED, None),
        ([item(1, ItemState.QUEUED)], {CONTENT}, Placing.COVERED, 1),
        ([item(1, ItemState.QUEUED)], {CONTENT, LOAN}, Placing.JOINED, 1),
        ([item(1, ItemState.APPROVED)], {CONTENT}, Placing.COVERED, 1),
        ([item(1, ItemState.APPROVED)], {CONTENT, LOAN}, Placing.OPENED, None),
        ([item(1, ItemState.APPROVED)], {CONTENT + 10}, Placing.OPENED, None),
        ([item(1, ItemState.REJECTED)], {CONTENT, LOAN}, Placing.JOINED, 1),
        ([item(1, ItemState.WITHDRAWN)], {CONTENT, LOAN}, Placing.JOINED, 1),
        ([item(1, ItemState.OUTSIDE_REVIEW_HOURS)], {CONTENT, LOAN}, Placing.JOINED, 1),
        # A plain part is released by the approval, whatever became of suspicious ones since.
        ([item(1, ItemState.APPROVED), item(2, ItemState.REJECTED, LOAN)], {CONTENT}, Placing.COVERED, 1),
        ([item(1, ItemState.APPROVED), item(2, ItemState.REJECTED, LOAN)], {CONTENT, LOAN}, Placing.COVERED, 2),
        ([item(1, ItemState.APPROVED), item(2, ItemState.REJECTED, LOAN)], {CONTENT, BET}, Placing.JOINED, 2),
        ([item(1, ItemState.APPROVED), item(2, ItemState.CLAIMED, LOAN)], {CONTENT, BET}, Placing.JOINED, 2),
        ([item(1, ItemState.APPROVED), item(2, ItemState.APPROVED, LOAN)], {CONTENT, BET}, Placing.OPENED, None),
        # The first decision was taken back while something late waited already.
        ([item(1, ItemState.CLAIMED), item(2, ItemState.QUEUED, LOAN)], {CONTENT, BET}, Placing.JOINED, 2),
    ],
)
def test_where_a_part_belongs(states, digests, placing, number):
    found, where = place(states, digests)
    assert (found, where and where.round) == (placing, number)


@given(
    st.lists(st.tuples(st.sampled_from(list(ItemState)), st.sets(st.integers(1, 4))), max_size=4),
    st.sets(st.integers(1, 4), min_size=1),
)
def test_nothing_unseen_is_ever_filed_under_an_approval(rows, digests):
    items = [Standing(f"i{n}", n, state, False, set(seen)) for n, (state, seen) in enumerate(rows, 1)]
    placing, where = place(items, digests)
    if where is not None and where.state is ItemState.APPROVED:
        assert digests <= where.seen
    if placing is Placing.OPENED:
        assert where is None
        assert not any(one.state in OPEN for one in items)


def screened(judgements):
    entry = Entry(
        task_id="t", first=0, count=4, port="10655", pieces=["尊敬的客户，您本月电费已出账"], expires_at=1, task_total=4
    )
    chunk = Chunk("c", "t1", "e1", Lane.NOTICE, 0, [8613800000000] * 4, "MMMM", [entry])
    return ChunkScreened(chunk, "r1", 0, judgements)


def digests(event, indices=(0, 1, 2, 3)):
    content, sights = sights_of(event.chunk, event.chunk.entries[0], list(indices), judgements_by_index(event))
    return {content, *(sight.digest for sight in sights)}


def test_sights_are_the_different_findings_of_the_parts_own_messages():
    other = msgspec.structs.replace(FINDING, matched="放款")
    event = screened(
        [Judgement(0, 2, Verdict.HOLD, "keyword_hold", [FINDING]), Judgement(2, 1, Verdict.HOLD, "x", [other])]
    )
    _, sights = sights_of(event.chunk, event.chunk.entries[0], [0, 1, 2, 3], judgements_by_index(event))
    assert [(sight.finding.matched, sight.index, sight.messages) for sight in sights] == [
        ("贷款", 0, 2),
        ("放款", 2, 1),
    ]
    assert len(digests(event, [3])) == 1
    assert digests(event, [0]) != digests(event, [2])


def test_another_rule_level_or_word_is_another_sight_and_the_same_again_is_not():
    base = digests(screened([Judgement(0, 1, Verdict.HOLD, "keyword_hold", [FINDING])]))
    assert digests(screened([Judgement(3, 1, Verdict.PASS, "other", [FINDING])])) == base
    for change in ({"rule": "fin-02"}, {"level": "score"}, {"matched": "放款"}):
        changed = msgspec.structs.replace(FINDING, **change)
        assert digests(screened([Judgement(0, 1, Verdict.HOLD, "keyword_hold", [changed])])) != base
    assert digests(screened([Judgement(0, 1, Verdict.HOLD, "keyword_hold")])) not in (base, digests(screened([])))


def test_ids_and_clusters_of_late_items_are_the_same_each_time():
    assert round_entropy("t", 2) == round_entropy("t", 2) != round_entropy("t", 3)
    assert len(round_entropy("t", 2)) == 10
    assert late_cluster(7, {2, 3}) == late_cluster(7, {3, 2}) != late_cluster(7, {2})
    assert -(1 << 63) <= late_cluster(7, {2}) < 1 << 63
