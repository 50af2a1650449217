"""A template screened once and its variables after it: the same as screening every rendered text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.chunk import Entry, render
from spamfilter.domain import template
from spamfilter.domain.matcher import Matcher
from spamfilter.domain.rules import Category, Level, Rule, rule_set

RULES = [
    Rule(id="invoice", category=Category.INVOICE, level=Level.HOLD, all=[["代开发票"]], none=["严禁代开"]),
    Rule(id="loan", category=Category.LOAN, level=Level.BLOCK, all=[["无抵押", "贷款到账"], ["@contact", "@link"]]),
    Rule(id="usdt", category=Category.FRAUD, level=Level.HOLD, all=[["usdt"]]),
    Rule(id="lottery", category=Category.GAMBLING, level=Level.HOLD, all=[["六合彩"]]),
    Rule(id="both", category=Category.OTHER, level=Level.HOLD, all=[["苹果"], ["香蕉"]], none=["@phone"]),
]
MATCHER = Matcher(rule_set(1, RULES))

FRAGMENTS = st.sampled_from(
    [
        word
        for row in (
            "代 开 发 票 代开 发票 开发 严禁 无抵 押 贷款 到账 us dt",
            "u s 六合 彩 liu he cai 苹 果 香蕉 亻弋 亻 弋 加微信",
            "微 信 abc123 13800138000 138 00138000 http://a.cn t.c n ， 。 ★ 您好 尊敬的客户",
            "应缴 元 退 订 ２ 群 qq",
        )
        for word in row.split()
    ]
)
PIECE = st.lists(FRAGMENTS, max_size=8).map("".join)
VALUE = st.lists(FRAGMENTS, max_size=3).map("".join)


@st.composite
def entries(draw):
    pieces = draw(st.lists(PIECE, min_size=2, max_size=4))
    width = len(pieces) - 1
    slots = draw(st.lists(st.integers(0, 2), min_size=width, max_size=width))
    rows = draw(st.lists(st.lists(VALUE, min_size=3, max_size=3), min_size=1, max_size=6))
    return Entry(task_id="t", first=0, count=len(rows), port="1069", pieces=pieces, slots=slots, variables=rows,
                 expires_at=1, task_total=len(rows))  # fmt: skip


@settings(max_examples=1500, deadline=None)
@given(entries())
def test_the_short_way_and_the_long_way_agree(entry):
    seams = template.cut(MATCHER, entry.pieces)
    short = template.screen_rows(MATCHER, seams, entry.pieces, entry.slots, entry.variables, entry.port, 0)
    texts = [render(entry, row) for row in range(entry.count)]
    long = MATCHER.screen(texts, [entry.port] * len(texts), 0)
    assert [(s.verdict, s.reason, s.findings) for s in short] == [(s.verdict, s.reason, s.findings) for s in long]


@pytest.mark.parametrize(
    ("pieces", "values", "rule"),
    [
        (["您好，代开", "，欢迎"], ["发票"], "invoice"),
        (["代", "票"], ["开发"], "invoice"),
        (["尊敬的客户，六", "开奖结果公布请查收"], ["合彩"], "lottery"),
        (["价格 us", " 起"], ["dt"], "usdt"),
        (["无抵押服务，请联系加微信", "谢谢"], ["abc12345"], "loan"),
    ],
)
def test_a_term_across_a_seam_is_found(pieces, values, rule):
    seams = template.cut(MATCHER, pieces)
    screenings = template.screen_rows(MATCHER, seams, pieces, [0], [["张三"], values], "1069", 0)
    assert [f.rule for f in screenings[1].findings] == [rule]
    assert screenings[0].findings == ()
