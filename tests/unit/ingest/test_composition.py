import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.chunk import MAX_MESSAGES, MAX_OCTETS
from contracts.events.ingest import ChunkAccepted
from contracts.lanes import Lane
from ingest.domain import template as templates
from ingest.domain.admission import Caller, Head
from ingest.domain.composition import build, plan, rows_of
from ingest.domain.identity import fresh_id
from ingest.domain.refusal import Refused
from ingest.domain.request import Recipient

CALLER = Caller("main", "power", "billing", False, [], {"95598": "active"}, {})


def head(text: str, *, template: bool = False) -> Head:
    return Head(
        lane=Lane.NOTICE,
        port="95598",
        registered=True,
        template=templates.parse(text) if template else templates.plain(text),
        template_id="",
        content=text,
        not_before=0,
        expires_at=2_000_000_000_000,
        ref="r",
        callback_url="",
    )


def numbers(count: int) -> list[str]:
    return [f"138{n:08d}" for n in range(count)]


def chunks_of(made, of):
    ids = (fresh_id(1_700_000_000_000, n.to_bytes(10, "big")) for n in itertools.count(1 << 20, 1 << 12))
    return list(build(made, of, CALLER, task_id="0" * 32, accepted_at=1_700_000_000_000, chunk_ids=ids))


def decoded(chunk):
    return msgspec.json.decode(chunk.payload, type=ChunkAccepted).chunk


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (500, [500]), (501, [500, 1]), (1_234, [500, 500, 234])])
def test_a_task_is_cut_into_chunks_of_500(count, sizes):
    of = head("你好")
    made = plan(of, numbers(count), [], {}, max_segments=10)
    chunks = chunks_of(made, of)
    assert [len(chunk.recipients) for chunk in chunks] == sizes
    events = [decoded(chunk) for chunk in chunks]
    assert [n for event in events for n in event.recipients] == [8_613_800_000_000 + n for n in range(count)]
    assert {event.entries[0].task_total for event in events} == {count}
    assert {event.entries[0].task_chunks for event in events} == {len(sizes)}
    assert len({event.chunk_id for event in events}) == len(sizes)


def test_invalid_recipients_are_listed_and_do_not_sink_the_task():
    of = head("你好")
    given_numbers = ["13800000001", "1380000", "", "010-88888888", "13900000002", "13800000001"]
    made = plan(of, given_numbers, [], {}, max_segments=10)
    assert [(r.index, r.reason) for r in made.rejected] == [
        (1, "bad_length"),
        (2, "empty"),
        (3, "fixed_line"),
        (5, "duplicate"),
    ]
    assert made.numbers == [8613800000001, 8613900000002]
    assert made.total == 6
    assert "13800000001" not in [r.to for r in made.rejected]


def test_nothing_valid_is_a_refusal_that_says_why():
    with pytest.raises(Refused) as caught:
        plan(head("x"), ["1380", "1381"], [], {}, max_segments=10)
    assert caught.value.code == "no_valid_recipient"
    assert [r["reason"] for r in caught.value.details["rejected"]] == ["bad_length", "bad_length"]


def test_the_same_number_with_another_text_is_no_duplicate():
    of = head("余额{x}", template=True)
    made = plan(of, ["13800000001"] * 3, [["1"], ["2"], ["1"]], {}, max_segments=10)
    assert [(r.index, r.reason) for r in made.rejected] == [(2, "duplicate")]
    assert decoded(chunks_of(made, of)[0]).text_of(1) == "余额2"


def test_rows_are_judged_one_by_one():
    of = head("余额{x}", template=True)
    values = [["1"], ["a" * 201], ["\0"], ["字" * 190], ["5"]]
    made = plan(of, numbers(5), values, {}, max_segments=2)
    assert [(r.index, r.reason) for r in made.rejected] == [
        (1, "variable_too_long"),
        (2, "variable_invalid"),
        (3, "text_too_long"),
    ]
    assert list(made.parts) == [1, 1]


def test_missing_variables_are_a_reason():
    recipients = ["13800000001", Recipient("13800000002", {"x": "1"}), Recipient("13800000003", {"y": "1"})]
    got_numbers, values, faults = rows_of(recipients, ["x"])
    assert faults == {0: "variable_missing", 2: "variable_missing"}
    made = plan(head("{x}", template=True), got_numbers, values, faults, max_segments=10)
    assert made.numbers == [8613800000002]


def test_a_content_too_long_for_anybody_is_a_refusal():
    with pytest.raises(Refused) as caught:
        plan(head("字" * 671), numbers(1), [], {}, max_segments=10)
    assert caught.value.code == "content_too_long"


def test_segments_are_counted_per_row():
    of = head("{x}", template=True)
    made = plan(of, numbers(3), [["a"], ["字" * 71], ["😀" * 36]], {}, max_segments=10)
    assert list(made.parts) == [1, 2, 2]


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 1_100),
    st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=200),
)
def test_no_chunk_is_above_its_bounds(count, value):
    of = head("{a}{b}{c}{d}", template=True)
    made = plan(of, numbers(count), [[value, f"{n}", value, value] for n in range(count)], {}, max_segments=30)
    chunks = chunks_of(made, of)
    assert made.cuts[0][0] == 0
    assert made.cuts[-1][1] == len(made.numbers)
    assert all(left[1] == right[0] for left, right in itertools.pairwise(made.cuts))
    assert all(len(chunk.payload) + 1_024 <= MAX_OCTETS for chunk in chunks)
    assert all(0 < len(chunk.recipients) <= MAX_MESSAGES for chunk in chunks)
    assert [n for chunk in chunks for n in chunk.recipients] == made.numbers
