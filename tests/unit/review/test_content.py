"""Fingerprints: what counts as the same content."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.chunk import Entry
from review.domain.clusters import MAX_CLUSTERS, Clusters
from review.domain.content import NEAR, fingerprint, pack, similarity, skeleton, text_to_compare, unpack

TEXT = "尊敬的客户，您的宽带即将到期，请于本月底前办理续费，逾期将停止服务。"


@pytest.mark.parametrize(
    "copy",
    [
        TEXT.replace("，", " * "),
        " ".join(TEXT),
        TEXT.replace("宽带", "寬帶").replace("续费", "續費"),
        "【某某电信】" + TEXT,
        TEXT + " 回T退订",
        TEXT.replace("。", "！！！"),
        "".join(c + "\u200b" for c in TEXT),
    ],
)
def test_a_disguised_copy_has_the_same_fingerprint(copy):
    assert fingerprint(copy).exact == fingerprint(TEXT).exact


def test_digits_do_not_tell_contents_apart():
    assert fingerprint("您的取件码是1234，请到3号柜").exact == fingerprint("您的取件码是99-8，请到12号柜").exact


@pytest.mark.parametrize("changed", [TEXT.replace("本月底", "下周五"), "温馨提示：" + TEXT, TEXT[:-9] + "谢谢合作。"])
def test_a_near_copy_is_similar(changed):
    assert fingerprint(changed).exact != fingerprint(TEXT).exact
    assert similarity(fingerprint(changed).sketch, fingerprint(TEXT).sketch) >= NEAR


def test_a_different_notice_is_not_similar():
    other = "今日气温下降，出行请注意保暖，市气象台提醒您关注最新预警。"
    assert similarity(fingerprint(other).sketch, fingerprint(TEXT).sketch) < NEAR


@given(st.text(max_size=200))
def test_any_text_has_a_fingerprint_that_survives_storage(text):
    made = fingerprint(text)
    assert unpack(pack(made.sketch)) == made.sketch
    assert -(1 << 63) <= made.exact < 1 << 63
    assert similarity(made.sketch, made.sketch) == 1.0


@given(st.text(max_size=60), st.text(max_size=60))
def test_similarity_is_symmetric_and_bounded(left, right):
    a, b = fingerprint(left).sketch, fingerprint(right).sketch
    assert similarity(a, b) == similarity(b, a)
    assert 0.0 <= similarity(a, b) <= 1.0


def test_the_skeleton_of_symbols_only_is_empty_and_they_still_differ():
    assert skeleton("！！？") == ""
    assert fingerprint("！！？").exact != fingerprint("……").exact


def entry(**more):
    return Entry(task_id="t", first=0, count=2, port="1", expires_at=0, task_total=2, **more)


def test_a_template_is_compared_by_its_own_words_unless_it_has_none():
    variables = [["张三", "十元"], ["李四", "九元"]]
    spoken = entry(pieces=["尊敬的客户", "您本月账单为", "请查收"], slots=[0, 1], variables=variables)
    assert text_to_compare(spoken) == "尊敬的客户您本月账单为请查收"
    silent = entry(pieces=["", ""], slots=[0], variables=[["整条内容都在变量里"], ["另一条"]])
    assert text_to_compare(silent) == "整条内容都在变量里"


def test_near_copies_join_the_first_one_and_others_open_their_own():
    clusters = Clusters()
    first, new = clusters.assign(fingerprint(TEXT), 1)
    assert new
    assert clusters.assign(fingerprint("温馨提示：" + TEXT), 2) == (first, False)
    other, new = clusters.assign(fingerprint("今日气温下降，出行请注意保暖。"), 2)
    assert new
    assert other != first


def test_clusters_are_bounded_and_forget_the_longest_unseen():
    clusters = Clusters()
    letters = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏"

    def text(n: int) -> str:
        return "".join(letters[(n // len(letters) ** k) % len(letters)] * 3 for k in range(4))

    for n in range(MAX_CLUSTERS + 1):
        clusters.assign(fingerprint(text(n)), n)
        assert len(clusters) <= MAX_CLUSTERS + 1
    kept = Clusters((c, clusters.sketch_of(c), 0) for c in [clusters.assign(fingerprint(text(MAX_CLUSTERS)), 9_999)[0]])
    assert not kept.assign(fingerprint(text(MAX_CLUSTERS)), 10_000)[1]
