"""A chunk through all of screening: who is blocked by index, what is demoted, what travels on in which lane."""

from __future__ import annotations

import msgspec
import pytest

from contracts.chunk import Chunk, Entry
from contracts.events.spamfilter import Verdict
from contracts.lanes import Lane
from spamfilter.domain.caps import CodeCaps, Limits
from spamfilter.domain.chunks import Policy, State, screen_chunk
from spamfilter.domain.codes import CodeTemplates
from spamfilter.domain.sender import SenderWindows
from spamfilter.domain.soundness import fault_of

CHUNK = "0" * 31


def entry(first=0, count=1, text="您好，明天见", port="106900001", **more) -> Entry:
    fields = {"task_id": "t", "pieces": [text], "expires_at": 1, "task_total": count, **more}
    return Entry(first=first, count=count, port=port, **fields)


def chunk(*entries: Entry, lane=Lane.NOTICE, name="a", at=1_000_000, recipients=None) -> Chunk:
    total = sum(e.count for e in entries)
    numbers = recipients or [8613800000000 + i for i in range(total)]
    return Chunk(
        chunk_id=CHUNK + name, tenant="demo", enterprise="e1", lane=lane, accepted_at=at,
        recipients=numbers, carriers="M" * total, entries=list(entries),
    )  # fmt: skip


@pytest.fixture
def policy(matcher) -> Policy:
    return Policy(
        matcher, CodeTemplates([("demo", "106900001", "【关心】验证码{code}，{minutes}分钟内有效，客服95598")])
    )


@pytest.fixture
def state() -> State:
    return State(SenderWindows(300_000), CodeCaps(Limits()))


def blocked(outcome) -> set[int]:
    return {
        index
        for j in outcome.judged.judgements
        if j.verdict is Verdict.BLOCK
        for index in range(j.first, j.first + j.count)
    }


def test_a_plain_task_passes_whole_without_judgements(policy, state):
    outcome = screen_chunk(chunk(entry(count=500)), policy, state, 5)
    ((lane, screened),) = outcome.screened
    assert (lane, screened.indices, screened.part, screened.judgements) == (Lane.NOTICE, None, 0, [])
    assert outcome.judged.ruleset == policy.matcher.version
    assert outcome.counted == []


def test_the_thirty_first_message_is_blocked_by_index_inside_its_chunk(policy, state):
    outcome = screen_chunk(chunk(entry(count=40, port="8613911112222", registered=False)), policy, state, 5)
    assert blocked(outcome) == set(range(30, 40))
    assert outcome.judged.judgements[0].reason == "sender_threshold"
    assert [(c.sender, c.count, c.first) for c in outcome.counted] == [("8613911112222", 40, 0)]


def test_thirty_single_messages_pass_and_the_next_does_not(policy, state):
    names = [f"{n:02x}" for n in range(32)]
    outcomes = [
        screen_chunk(
            msgspec.structs.replace(
                chunk(entry(port="8613911112222", registered=False), at=1_000_000 + n), chunk_id="0" * 30 + name
            ),
            policy, state, 5,
        )
        for n, name in enumerate(names)
    ]  # fmt: skip
    assert [bool(blocked(o)) for o in outcomes] == [False] * 30 + [True] * 2
    # All of the chunk is blocked: nothing goes on, but the verdict does.
    assert outcomes[30].screened == []
    assert outcomes[30].judged.judgements[0].findings[0].figure == 31.0


def test_registered_ports_have_no_count_limit(policy, state):
    assert not blocked(screen_chunk(chunk(entry(count=500)), policy, state, 5))


def test_the_same_chunk_again_has_the_same_outcome_and_no_new_count(policy, state):
    busy = chunk(entry(count=25, port="8613911112222", registered=False), name="b")
    first = screen_chunk(busy, policy, state, 5)
    second = screen_chunk(chunk(entry(count=25, port="8613911112222", registered=False), name="c"), policy, state, 5)
    again = screen_chunk(busy, policy, state, 5)
    assert blocked(second) == set(range(5, 25))
    assert (again.judged, again.screened) == (first.judged, first.screened)
    assert again.counted == []


def test_no_code_is_demoted_to_notice_and_the_chunk_is_cut(policy, state):
    outcome = screen_chunk(
        chunk(
            entry(0, 1, "【关心】您的验证码是482913，请勿泄露"),
            entry(1, 2, "双十一全场五折"),
            entry(3, 1, "【关心】验证码773311，5分钟内有效，客服95598"),
            lane=Lane.VERIFICATION,
        ),
        policy, state, 5,
    )  # fmt: skip
    parts = [(lane, s.part, s.indices, s.chunk.lane) for lane, s in outcome.screened]
    assert parts == [
        (Lane.VERIFICATION, 0, [0, 3], Lane.VERIFICATION),
        (Lane.NOTICE, 1, [1, 2], Lane.NOTICE),
    ]
    assert (outcome.judged.demoted, outcome.judged.demoted_to) == ([1, 2], Lane.NOTICE)
    assert outcome.screened[0][1].code_entries == [2]


def test_templates_with_variables_are_codes_by_row(policy, state):
    rows = [["482913"], ["便宜"]]
    task = entry(0, 2, pieces=["【关心】您的验证码是", "，请勿泄露"], slots=[0], variables=rows)
    outcome = screen_chunk(chunk(task, lane=Lane.VERIFICATION), policy, state, 5)
    assert outcome.judged.demoted == [1]


def test_codes_to_one_number_are_capped(policy, state):
    text = "【关心】您的验证码是482913，请勿泄露"
    outcome = screen_chunk(
        chunk(entry(0, 1, text), entry(1, 1, text), lane=Lane.VERIFICATION, recipients=[8613800138000] * 2),
        policy,
        state,
        5,
    )
    assert blocked(outcome) == {1}
    assert outcome.judged.judgements[0].reason == "code_cap"
    assert [(c.sender, c.first) for c in outcome.counted] == [("code:106900001:8613800138000", 0)]


def test_a_blocked_content_keeps_its_reason_above_the_threshold(policy, state):
    spam = entry(0, 40, "代开发票，加微信abc12345", port="8613911112222", registered=False)
    outcome = screen_chunk(chunk(spam), policy, state, 5)
    assert blocked(outcome) == set(range(40))
    assert [(j.first, j.count, j.reason) for j in outcome.judged.judgements] == [
        (0, 30, "keyword_block"),
        (30, 10, "keyword_block"),
    ]


def test_runs_of_rows_with_their_own_findings_quote_their_own_text(policy, state):
    task = entry(0, 3, pieces=["尊敬的", "，本公司代开发票"], slots=[0], variables=[["李"], ["欧阳"], ["李"]])
    outcome = screen_chunk(chunk(task), policy, state, 5)
    assert [(j.first, j.findings[0].span) for j in outcome.judged.judgements] == [
        (0, (8, 12)),
        (1, (9, 13)),
        (2, (8, 12)),
    ]


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (chunk(entry(count=2)), ""),
        (msgspec.structs.replace(chunk(entry()), recipients=[]), "chunk_size"),
        (msgspec.structs.replace(chunk(entry()), carriers="MM"), "chunk_carriers"),
        (msgspec.structs.replace(chunk(entry(count=2)), entries=[entry(0, 1)]), "chunk_entries"),
        (msgspec.structs.replace(chunk(entry(count=2)), entries=[entry(1, 2)]), "chunk_entries"),
        (chunk(entry(pieces=["a", "b"])), "chunk_entry"),
        (chunk(entry(pieces=["a", "b"], slots=[0], variables=[])), "chunk_entry"),
        (chunk(entry(pieces=["a", "b"], slots=[1], variables=[["x"]])), "chunk_entry"),
        (chunk(entry(pieces=["a", "b"], slots=[-1], variables=[["x"]])), "chunk_entry"),
        (chunk(entry(text="a" * 10_001)), "chunk_entry"),
    ],
)
def test_an_inconsistent_chunk_is_named(broken, code):
    fault = fault_of(broken)
    assert (fault[0] if fault else "") == code
