"""Rules over disguised texts: what fires, what it quotes, and what must not fire."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.events.spamfilter import Verdict
from spamfilter.domain import score
from spamfilter.domain.matcher import SCORE_HOLD, Matcher
from spamfilter.domain.rules import Category, Level, Rule, RuleError, decode_rules, encode_rules, rule_set

NORMAL = Path(__file__).with_name("normal_texts.txt").read_text(encoding="utf-8").splitlines()


def rule(name="r-1", level=Level.HOLD, **more) -> Rule:
    return Rule(id=name, category=Category.OTHER, level=level, **more)


def of(*rules: Rule) -> Matcher:
    return Matcher(rule_set(1, list(rules)))


def judge(matcher: Matcher, text: str, port="106900001", at=1_000):
    return matcher.screen([text], [port], at)[0]


def test_there_are_at_least_a_hundred_normal_texts():
    assert len(set(NORMAL)) >= 100


@pytest.mark.parametrize("text", NORMAL)
def test_shipped_rules_let_ordinary_messages_pass(matcher, text):
    screening = judge(matcher, text)
    assert screening.verdict is Verdict.PASS, screening.findings


EVASIONS = [
    "代开发票",
    "代開發票",
    "代 开 发 票",
    "代★开☆发◆票",
    "代-开-发-票",
    "ｄａｉ开发票",
    "dai kai fa piao",
    "daikaifapiao",
    "带开发飘",
    "代\u200b开\u200b发\u200b票",
    "亻弋开发票",
    "岱開fa票",
    "代。开，发！票",
    "代📌开📌发📌票",
]


@pytest.mark.parametrize("written", EVASIONS)
def test_a_keyword_is_found_in_every_disguise_and_quoted_as_written(matcher, written):
    text = f"本公司{written}欢迎来电"
    screening = judge(matcher, text)
    assert screening.verdict is Verdict.HOLD
    finding = next(f for f in screening.findings if f.category == "invoice")
    start, end = finding.span
    assert finding.matched == text[start:end]
    # What was inserted between the characters is quoted too; nothing before or after is.
    assert text[start:end] == written


def test_a_contact_beside_it_makes_it_a_block(matcher):
    assert judge(matcher, "代开发票，加微信abc12345").verdict is Verdict.BLOCK
    assert judge(matcher, "严禁代开发票，举报电话13800138000").verdict is Verdict.PASS


@settings(max_examples=150)
@given(
    st.text(st.characters(), max_size=15),
    st.lists(st.sampled_from(["", "★", " ", "\u200b", "。", "-", "🍀"]), min_size=3, max_size=3),
    st.text(st.characters(), max_size=15),
)
def test_spans_quote_the_original_whatever_surrounds_them(before, between, after):
    matcher = _GAMBLING
    text = before + "六" + between[0] + "合" + between[1] + "彩" + between[2] + "票" + after
    for finding in judge(matcher, text).findings:
        start, end = finding.span
        assert 0 <= start < end <= len(text)
        assert finding.matched == text[start:end]
    found = judge(matcher, text).findings
    assert found
    assert found[0].matched.startswith("六")


_GAMBLING = of(rule(all=[["六合彩票"]]))


def test_groups_are_and_terms_are_or_and_none_is_not():
    matcher = of(rule(all=[["苹果", "香蕉"], ["便宜"]], none=["报价"]))
    assert judge(matcher, "香蕉便宜").verdict is Verdict.HOLD
    assert judge(matcher, "香蕉").verdict is Verdict.PASS
    assert judge(matcher, "便宜").verdict is Verdict.PASS
    assert judge(matcher, "苹果便宜，报价单").verdict is Verdict.PASS


def test_an_exempt_port_is_left_alone_and_its_neighbour_is_not():
    matcher = of(rule(all=[["苹果"]], exempt_ports=["1069001", "1068*"]))
    assert judge(matcher, "苹果", port="1069001").verdict is Verdict.PASS
    assert judge(matcher, "苹果", port="10685").verdict is Verdict.PASS
    assert judge(matcher, "苹果", port="10690012").verdict is Verdict.HOLD


def test_a_rule_is_in_force_from_its_first_to_before_its_last_moment():
    matcher = of(rule(all=[["苹果"]], valid_from=100, valid_until=200))
    verdicts = [judge(matcher, "苹果", at=at).verdict for at in (99, 100, 199, 200)]
    assert verdicts == [Verdict.PASS, Verdict.HOLD, Verdict.HOLD, Verdict.PASS]


def test_latin_terms_are_whole_words():
    matcher = of(rule(all=[["usdt"]]))
    assert judge(matcher, "收USDT的").verdict is Verdict.HOLD
    assert judge(matcher, "buy u s d t now").verdict is Verdict.HOLD
    assert judge(matcher, "xusdty").verdict is Verdict.PASS


def test_two_syllables_are_not_matched_by_sound_but_three_are():
    matcher = of(
        rule("two", all=[["贷款"]]), rule("three", all=[["六合彩"]]), rule("off", all=[["百家乐"]], pinyin=False)
    )
    assert judge(matcher, "代宽").verdict is Verdict.PASS
    assert judge(matcher, "liu he cai").findings[0].rule == "three"
    assert judge(matcher, "百佳乐").verdict is Verdict.PASS


def test_the_strongest_finding_decides_and_comes_first():
    matcher = of(rule("a", Level.HOLD, all=[["苹果"]]), rule("b", Level.BLOCK, all=[["香蕉"]]))
    screening = judge(matcher, "苹果和香蕉")
    assert (screening.verdict, screening.reason) == (Verdict.BLOCK, "keyword_block")
    assert [f.rule for f in screening.findings] == ["b", "a"]


def test_a_score_alone_may_hold_but_never_blocks():
    matcher = of(*(rule(f"s-{i}", Level.SCORE, all=[["苹果"]], weight=10.0) for i in range(5)))
    screening = judge(matcher, "苹果")
    assert (screening.verdict, screening.reason) == (Verdict.HOLD, "content_score")
    assert screening.score >= SCORE_HOLD


def test_features_alone_never_reach_the_threshold():
    assert score.logistic(score.MAX_FEATURE_LOGIT) < SCORE_HOLD


def test_texts_of_one_batch_do_not_run_into_each_other():
    matcher = of(rule(all=[["代开发票"]]))
    verdicts = [s.verdict for s in matcher.screen(["代开", "发票", "代开发票", "\x1e代开\x1e发票"], ["1"] * 4, 0)]
    assert verdicts == [Verdict.PASS, Verdict.PASS, Verdict.HOLD, Verdict.HOLD]


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ([rule("a", all=[["苹果"]]), rule("a", all=[["香蕉"]])], "rule_duplicate"),
        ([rule(all=[["@unknown"], ["苹果"]])], "feature_unknown"),
        ([rule(all=[["@link"]])], "rule_needs_term"),
        ([rule(all=[["★☆"]])], "term_empty"),
        ([rule(all=[["苹果"]], valid_from=5, valid_until=5)], "rule_never_valid"),
    ],
)
def test_unusable_rules_are_refused_with_a_code(rules, code):
    with pytest.raises(RuleError) as caught:
        Matcher(rule_set(1, rules))
    assert caught.value.code == code


def test_the_version_follows_the_content_and_not_the_order(shipped):
    again = rule_set(7, list(reversed(shipped.rules)))
    assert again.digest == shipped.digest
    assert again.version == f"7-{shipped.digest[:12]}"
    assert rule_set(1, shipped.rules[1:]).digest != shipped.digest
    assert tuple(decode_rules(encode_rules(shipped.rules))) == shipped.rules
