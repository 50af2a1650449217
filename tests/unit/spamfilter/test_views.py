"""The three views: what they undo, and that every place in them leads back to the original."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamfilter.domain import fold, views

INTERESTING = st.sampled_from(
    list("代開发票ｗｅｉ亻言氵去微❤️\u200b\u3000　 1２③㎏ＡbÇ。，！—*weixinzhuangniu彡采\x1e\n\tаоﬁ贷")
)
TEXTS = st.text(st.one_of(INTERESTING, INTERESTING, st.characters()), max_size=40)


@given(st.lists(TEXTS, min_size=1, max_size=6))
def test_a_batch_and_one_text_at_a_time_have_the_same_views(texts):
    skeleton = views.skeleton_of(views.join(texts))
    sound = views.pinyin_of(skeleton)
    for text, one, heard in zip(texts, skeleton.split(fold.MARK), sound.split(fold.MARK), strict=True):
        traced = views.trace_skeleton(text)
        assert traced.view == one
        assert views.trace_pinyin(traced).view == heard


@given(TEXTS)
def test_every_character_of_a_view_comes_from_its_place_in_the_text(text):
    traced = views.trace_skeleton(text)
    for view in (traced, views.trace_pinyin(traced), views.trace_base(text)):
        assert len(view.starts) == len(view.ends) == len(view.view)
        assert all(0 <= start < end <= len(text) for start, end in zip(view.starts, view.ends, strict=True))
        assert view.starts == sorted(view.starts)
        assert view.ends == sorted(view.ends)


@given(TEXTS)
def test_folding_again_changes_nothing(text):
    once = views.skeleton_of(views.join([text]))
    assert views.skeleton_of(once) == views.skeleton_of(views.skeleton_of(once))


@pytest.mark.parametrize(
    ("written", "skeleton"),
    [
        ("代★开★發 票", "代开发票"),
        ("ＡＢＣ１２３", "abc123"),
        ("微\u200b信", "微信"),
        ("U S D T", "usdt"),
        ("good  morning", "good morning"),
        ("亻弋开发票", "代开发票"),
        ("аbс", "abc"),
    ],
)
def test_disguises_are_undone(written, skeleton):
    assert views.skeleton_of(views.join([written])) == skeleton


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("微信", "威信"),
        ("微信", "weixin"),
        ("代开发票", "带开发飘"),
        ("贷款", "dai kuan"),
        ("奶茶", "来查"),
        ("中奖", "总将"),
    ],
)
def test_what_sounds_alike_is_one(one, other):
    heard = [views.pinyin_of(views.skeleton_of(views.join([text]))) for text in (one, other)]
    assert heard[0] == heard[1]


def test_private_use_characters_cannot_pose_as_sounds():
    assert views.skeleton_of(views.join(["\ue000\ue001\ue0ff"])) == ""
