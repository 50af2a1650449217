"""The process's own queue: order, priority, bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bus.intake import Intake, Limits
from bus.records import RawRecord, TopicPartition, lane_of, rank_of
from contracts.lanes import Lane

CODES, NOTICES, BULK, CONTROL = "s.verification", "s.notice", "s.marketing", "ingest.cancelled"


def record(topic, partition, offset, octets=10):
    return RawRecord(topic, partition, offset, 0, None, b"x" * octets, ())


def intake(*tps, **limits):
    made = Intake(Limits(**limits))
    made.assign({TopicPartition(*tp): 0 for tp in tps})
    return made


def test_lanes_and_ranks_come_from_the_topic_name():
    assert [lane_of(t) for t in (CODES, NOTICES, BULK, CONTROL)] == [
        Lane.VERIFICATION,
        Lane.NOTICE,
        Lane.MARKETING,
        None,
    ]
    assert [rank_of(t) for t in (CODES, NOTICES, "s.internal", BULK, CONTROL)] == [0, 1, 2, 3, 0]


def test_the_best_rank_is_taken_first_and_whole():
    made = intake((BULK, 0), (CODES, 0), max_records=2)
    made.offer(TopicPartition(BULK, 0), [record(BULK, 0, n) for n in range(4)])
    made.offer(TopicPartition(CODES, 0), [record(CODES, 0, n) for n in range(3)])
    topics = []
    while batch := made.take(made.ripe(0.0)[0]):
        topics.append((batch[0].topic, len(batch)))
    assert topics == [(CODES, 2), (CODES, 1), (BULK, 2), (BULK, 2)]


def test_only_allowed_ranks_are_taken():
    made = intake((BULK, 0), (CODES, 0))
    made.offer(TopicPartition(BULK, 0), [record(BULK, 0, 0)])
    assert made.take({0}) == []
    assert len(made.take({0, 3})) == 1


def test_a_batch_is_bounded_by_octets_but_a_giant_goes_alone():
    made = intake((BULK, 0), max_octets=100)
    made.offer(TopicPartition(BULK, 0), [record(BULK, 0, n, size) for n, size in enumerate((60, 30, 20, 500, 1))])
    assert [[r.offset for r in made.take({3})] for _ in range(4)] == [[0, 1], [2], [3], [4]]


def test_records_before_the_expected_offset_are_left_out():
    made = intake((BULK, 0))
    tp = TopicPartition(BULK, 0)
    made.rewind(tp, 10)
    made.offer(tp, [record(BULK, 0, n) for n in (8, 9, 10, 11)])
    made.offer(tp, [record(BULK, 0, n) for n in (11, 12)])
    assert [r.offset for r in made.take({3})] == [10, 11, 12]


def test_unassigned_partitions_are_ignored():
    made = intake((BULK, 0))
    assert made.offer(TopicPartition(BULK, 1), [record(BULK, 1, 0)]) is False
    assert made.ripe(0.0)[0] == set()


def test_pause_at_the_bound_and_resume_at_half():
    made = intake((BULK, 0), queue_records=4, max_records=1)
    tp = TopicPartition(BULK, 0)
    assert made.offer(tp, [record(BULK, 0, n) for n in range(3)]) is False
    assert made.offer(tp, [record(BULK, 0, n) for n in range(3, 8)]) is True
    assert made.offer(tp, [record(BULK, 0, 8)]) is False, "it is paused already"
    while len(made.partitions[tp].queue) > 3:
        made.take({3})
        assert made.resumable() == []
    made.take({3})
    assert made.resumable() == [tp]
    assert made.resumable() == []


def test_a_batch_put_back_comes_first_again_unless_the_partition_moved_on():
    made = intake((BULK, 0), max_records=2)
    tp = TopicPartition(BULK, 0)
    made.offer(tp, [record(BULK, 0, n) for n in range(4)])
    owners = dict(made.partitions)
    batch = made.take({3})
    made.put_back(batch, owners)
    assert made.partitions[tp].octets == 40
    assert [r.offset for r in made.take({3})] == [0, 1]
    made.assign({tp: 0})
    made.put_back(batch, owners)
    assert made.ripe(0.0)[0] == set()


def test_topics_of_equal_rank_take_turns():
    made = intake((CODES, 0), (CONTROL, 0), max_records=1)
    for topic in (CODES, CONTROL):
        made.offer(TopicPartition(topic, 0), [record(topic, 0, n) for n in range(3)])
    topics = [made.take({0})[0].topic for _ in range(6)]
    assert topics.count(CODES) == 3
    assert topics[:4] != [topics[0]] * 4


@given(
    st.lists(st.tuples(st.sampled_from([CODES, NOTICES, BULK]), st.integers(0, 2), st.integers(1, 60)), max_size=60),
    st.integers(1, 7),
    st.integers(20, 200),
)
def test_everything_offered_is_taken_once_in_order_and_within_bounds(offers, max_records, max_octets):
    made = intake(
        *((t, p) for t in (CODES, NOTICES, BULK) for p in range(3)), max_records=max_records, max_octets=max_octets
    )
    sent = {}
    for topic, partition, octets in offers:
        tp = TopicPartition(topic, partition)
        offset = len(sent.setdefault(tp, []))
        sent[tp].append(offset)
        made.offer(tp, [record(topic, partition, offset, octets)])
    taken = {}
    while batch := made.take(made.ripe(0.0)[0]):
        assert len({r.topic for r in batch}) == 1
        assert len(batch) <= max_records
        assert len(batch) == 1 or sum(r.octets for r in batch) <= max_octets
        for r in batch:
            taken.setdefault(r.tp, []).append(r.offset)
    assert taken == sent
    assert all(p.octets == 0 for p in made.partitions.values())


def test_a_batch_waits_for_its_like_until_it_is_full_or_old_and_codes_never_wait():
    made = intake((BULK, 0), (NOTICES, 0), (CODES, 0), max_records=3, gather_s=0.1)
    made.offer(TopicPartition(BULK, 0), [record(BULK, 0, 0)], 10.0)
    assert made.ripe(10.05) == (set(), 10.1)
    made.offer(TopicPartition(NOTICES, 0), [record(NOTICES, 0, 0)], 10.06)
    assert made.ripe(10.06) == (set(), 10.1)
    made.offer(TopicPartition(CODES, 0), [record(CODES, 0, 0)], 10.06)
    assert made.ripe(10.06) == ({0}, 10.1), "a code waits for nothing"
    made.offer(TopicPartition(NOTICES, 0), [record(NOTICES, 0, 1), record(NOTICES, 0, 2)], 10.07)
    assert made.ripe(10.07)[0] == {0, 1}, "full"
    assert made.ripe(10.1)[0] == {0, 1, 3}, "old"
    assert made.take({3})
    assert made.ripe(11.0) == ({0, 1}, float("inf"))


def test_codes_gather_where_nobody_waits_for_what_follows():
    made = intake((BULK, 0), (CODES, 0), max_records=3, gather_s=0.1, gather_codes_s=0.02)
    made.offer(TopicPartition(CODES, 0), [record(CODES, 0, 0)], 10.0)
    assert made.ripe(10.01) == (set(), 10.02)
    assert made.ripe(10.02)[0] == {0}
