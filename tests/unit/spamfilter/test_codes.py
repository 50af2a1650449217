"""A verification code is one by an approved template or by its shape; everything else is demoted."""

from __future__ import annotations

import pytest

from spamfilter.domain.codes import CodeTemplates, PatternError, approved, has_code_shape, pattern_of

CODES = [
    "【关心】您的验证码是482913，5分钟内有效，请勿泄露。",
    "【支付宝】校验码 901823，请勿转发。",
    "验证码：4829",
    "您的动态密码为 A1B2C3，请勿告诉他人",
    "【银行】登录码ABCDEF，请勿泄露",
    "Your verification code is 48291356.",
    "验证码482913。重复：482913",
    "【关心】验证码４８２９１３，请勿泄露",
]
OTHERS = [
    "【商城】双十一全场五折，点击 http://t.cn/abc 验证码482913",
    "验证码482913，加微信abc12345领奖",
    "验证码482913，详询13800138000",
    "您的账单于2026年11月出账，应缴128.50元",
    "验证码已发送，请查收",
    "验证码482913，备用验证码773311",
    "验证码123",
    "验证码1234567890",
    "验证码482913" + "，请勿泄露给他人" * 20,
    "优惠券4829已到账",
    "",
]


@pytest.mark.parametrize("text", CODES)
def test_codes_have_the_shape_of_a_code(text):
    assert has_code_shape(text)


@pytest.mark.parametrize("text", OTHERS)
def test_other_messages_have_not(text):
    assert not has_code_shape(text)


def test_an_approved_template_matches_wholly_or_not_at_all():
    patterns = [pattern_of("【关心】{code}是您本次{action}的验证码，{minutes}分钟内有效。客服95598")]
    assert approved("【关心】482913是您本次登录的验证码，5分钟内有效。客服95598", patterns)
    assert not approved("【关心】482913是您本次登录的验证码，5分钟内有效。客服95598，全场五折", patterns)
    assert not approved("【关心】482913是您本次登录http://a.cn/的验证码，5分钟内有效。客服95598", patterns)
    assert not approved("【关心】48是您本次登录的验证码，5分钟内有效。客服95598", patterns)


@pytest.mark.parametrize("text", ["验证码{code}和{code}", "您好，欢迎光临", "{code}{x}", "验证码{code}" * 100])
def test_a_pattern_without_exactly_one_code_or_without_words_is_refused(text):
    with pytest.raises(PatternError):
        pattern_of(text)


def test_templates_belong_to_one_port_of_one_tenant():
    templates = CodeTemplates([("demo", "1069", "验证码是{code}谢谢")])
    assert templates.of("demo", "1069")
    assert not templates.of("demo", "1068")
    assert not templates.of("other", "1069")
