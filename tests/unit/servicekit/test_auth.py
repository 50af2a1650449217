from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit import auth

KEY = b"k" * 32


async def test_passwords():
    stored = await auth.hash_password("正确的密码")
    assert stored.startswith("$argon2id$")
    assert await auth.verify_password(stored, "正确的密码")
    assert not await auth.verify_password(stored, "wrong")
    assert not await auth.verify_password("not a hash", "wrong")
    assert not await auth.verify_password(stored, "x" * 10_000)
    with pytest.raises(ValueError, match="256"):
        await auth.hash_password("")


def test_api_keys():
    key = auth.new_api_key()
    assert auth.parse_api_key(key.text) == (key.key_id, key.secret)
    assert auth.new_api_key() != key
    assert auth.digest_secret(key.secret, KEY) == auth.digest_secret(key.secret, KEY)
    assert auth.digest_secret(key.secret, KEY) != auth.digest_secret(key.secret, b"other")
    for text in ("", "gx_", key.text + "x", key.text[:-1], key.text + "\n", "gx_" + "g" * 16 + "_" + "a" * 43):
        assert auth.parse_api_key(text) is None


@given(st.lists(st.binary(max_size=20), max_size=4), st.lists(st.binary(max_size=20), max_size=4))
def test_signatures_tell_lists_of_parts_apart(parts, others):
    signature = auth.sign(KEY, *parts)
    assert auth.verify_signature(KEY, signature, *parts)
    assert auth.verify_signature(KEY, signature, *others) == (parts == others)
    assert not auth.verify_signature(b"other", signature, *parts)


def test_cookies_expire_and_cannot_be_changed_or_moved():
    cookie = auth.SignedCookie(KEY, "session")
    text = cookie.seal({"user": "a", "角色": "审核"}, now_ms=1_000, ttl_s=10)
    assert cookie.open(text, 1_000) == {"user": "a", "角色": "审核"}
    assert cookie.open(text, 11_000) is None
    assert auth.SignedCookie(KEY, "other").open(text, 1_000) is None
    assert auth.SignedCookie(b"o" * 32, "session").open(text, 1_000) is None
    for position in range(0, len(text), 7):
        changed = text[:position] + ("A" if text[position] != "A" else "B") + text[position + 1 :]
        assert cookie.open(changed, 1_000) is None


@given(st.text(max_size=200))
def test_rubbish_cookies_are_none(text):
    assert auth.SignedCookie(KEY, "session").open(text, 0) is None


def test_a_short_signing_key_is_refused():
    with pytest.raises(ValueError, match="16"):
        auth.SignedCookie(b"short", "session")
