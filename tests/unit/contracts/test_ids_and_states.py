"""Identifiers and the precedence of states."""

from __future__ import annotations

import os
import uuid
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.chunk import Chunk, Entry, render
from contracts.ids import IdError, day_of, epoch_ms_of, event_id, message_id, new_id, parse_message_id, segment_id
from contracts.lanes import LANES, Lane
from contracts.states import FINAL_STATES, STATE_BY_LABEL, State, stronger


@given(st.integers(0, (1 << 48) - 1), st.binary(min_size=10, max_size=10))
def test_new_id_is_a_uuid7_of_its_time(epoch_ms: int, entropy: bytes) -> None:
    identifier = new_id(epoch_ms, entropy)
    parsed = uuid.UUID(identifier)
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122
    assert epoch_ms_of(identifier) == epoch_ms


def test_ids_sort_by_time_and_name_their_day() -> None:
    first, second = (new_id(1_732_320_000_000 + step, os.urandom(10)) for step in (0, 1))
    assert first < second
    assert day_of(first) == date(2024, 11, 23)


@pytest.mark.parametrize(("epoch_ms", "entropy"), [(-1, b"0" * 10), (1 << 48, b"0" * 10), (0, b"short")])
def test_bad_ingredients_are_refused(epoch_ms: int, entropy: bytes) -> None:
    with pytest.raises(IdError):
        new_id(epoch_ms, entropy)


def test_message_ids_round_trip() -> None:
    chunk = new_id(5, b"x" * 10)
    assert parse_message_id(message_id(chunk, 499)) == (chunk, 499)
    assert segment_id(chunk, 7, 2) == f"{chunk}-7-2"
    assert event_id(chunk, "released", 1) == f"{chunk}:released:1"


@pytest.mark.parametrize(
    "text", ["", "-", "0" * 32, "0" * 32 + "-", "0" * 32 + "-01", "0" * 32 + "-1\n", "G" * 32 + "-1"]
)
def test_what_is_no_message_id_is_refused(text: str) -> None:
    with pytest.raises(IdError):
        parse_message_id(text)


def test_epoch_of_what_is_no_id_is_refused() -> None:
    with pytest.raises(IdError):
        epoch_ms_of("zz")


@given(st.lists(st.sampled_from([s for s in State if s is not State.UNCERTAIN])))
def test_without_uncertainty_order_of_arrival_does_not_matter(arrivals: list[State]) -> None:
    def final(sequence: list[State]) -> int:
        state: int = State.ACCEPTED
        for arrival in sequence:
            state = stronger(state, arrival)
        return state

    assert final(arrivals) == final(arrivals[::-1]) == max([State.ACCEPTED, *arrivals])


def test_an_answer_after_uncertainty_is_later_knowledge() -> None:
    assert stronger(State.UNCERTAIN, State.SUBMITTED) == State.SUBMITTED
    assert stronger(State.SUBMITTED, State.UNCERTAIN) == State.UNCERTAIN
    assert stronger(State.DELIVERED, State.UNCERTAIN) == State.DELIVERED
    assert stronger(State.UNCERTAIN, State.QUEUED) == State.QUEUED


def test_labels_and_finality() -> None:
    assert STATE_BY_LABEL["delivered"] is State.DELIVERED
    assert {s.label for s in FINAL_STATES} == {
        "blocked", "rejected", "cancelled", "expired", "unknown", "failed", "delivered",
    }  # fmt: skip


def test_lanes_rank_codes_first() -> None:
    assert [lane.rank for lane in LANES] == [0, 1, 2, 3]
    assert LANES[0] is Lane.VERIFICATION


def test_a_micro_chunk_finds_the_entry_and_text_of_each_message() -> None:
    def entry(first: int, count: int, **more: object) -> Entry:
        return Entry(task_id="t", first=first, count=count, port="1", expires_at=0, task_total=count, **more)  # type: ignore[arg-type]

    chunk = Chunk(
        chunk_id="c", tenant="t", enterprise="e", lane=Lane.NOTICE, accepted_at=0,
        recipients=[1, 2, 3], carriers="MMM",
        entries=[
            entry(0, 1, pieces=["一"]),
            entry(1, 2, pieces=["", "-", "-", "!"], slots=[0, 1, 0], variables=[["a", "b"], ["c", "d"]]),
        ],
    )  # fmt: skip
    assert [chunk.text_of(i) for i in range(3)] == ["一", "a-b-a!", "c-d-c!"]
    assert chunk.entry_of(2) is chunk.entries[1]
    assert render(chunk.entries[0], 0) == "一"
