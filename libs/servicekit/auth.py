"""Passwords, API keys, signatures and signed cookies; every comparison of secrets takes constant time.

Boundary: pure but for the password functions, which run argon2 in a thread (it takes some 50 ms of CPU by design).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Any

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher()

MAX_PASSWORD_LENGTH = 256
"""Characters; longer input is refused before argon2 sees it."""

_KEY_TEXT = re.compile(r"gx_([0-9a-f]{16})_([A-Za-z0-9_-]{43})\Z")


async def hash_password(password: str) -> str:
    """Return an argon2id hash with its own salt and parameters; raises ValueError when the password is empty or too
    long.
    """
    if not 0 < len(password) <= MAX_PASSWORD_LENGTH:
        raise ValueError(f"a password has 1 to {MAX_PASSWORD_LENGTH} characters")
    return await asyncio.to_thread(_hasher.hash, password)


async def verify_password(stored: str, password: str) -> bool:
    """Return whether ``password`` made ``stored``; a damaged hash is a refusal, not an error."""
    if not 0 < len(password) <= MAX_PASSWORD_LENGTH:
        return False
    try:
        return await asyncio.to_thread(_hasher.verify, stored, password)
    except (VerificationError, InvalidHashError):
        return False


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A new API key: ``key_id`` is public and finds the row, ``secret`` is shown once and stored only as a digest."""

    key_id: str
    secret: str

    @property
    def text(self) -> str:
        """The key as the caller writes it: ``gx_<key id>_<secret>``."""
        return f"gx_{self.key_id}_{self.secret}"


def new_api_key() -> ApiKey:
    """Return a random key: 64 bits of id, 256 bits of secret."""
    return ApiKey(secrets.token_hex(8), secrets.token_urlsafe(32))


def parse_api_key(text: str) -> tuple[str, str] | None:
    """Return (key id, secret), or None when the text is not a key of ours."""
    match = _KEY_TEXT.match(text)
    return (match[1], match[2]) if match else None


def digest_secret(secret: str, pepper: bytes) -> bytes:
    """Return the 32 octets to store for an API key's secret.

    A fast keyed hash is right here, unlike for passwords: the secret has 256 random bits, and every request pays for
    this.
    """
    return hashlib.blake2b(secret.encode(), key=pepper[:64], digest_size=32).digest()


def same(left: bytes | str, right: bytes | str) -> bool:
    """Return whether both are equal, in time that does not depend on where they differ."""
    return hmac.compare_digest(_octets(left), _octets(right))


def sign(key: bytes, *parts: bytes) -> str:
    """Return the HMAC-SHA256 of the parts as 64 hex digits; each part is preceded by its length, so none can run into
    the next.
    """
    mac = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        mac.update(len(part).to_bytes(8, "big"))
        mac.update(part)
    return mac.hexdigest()


def verify_signature(key: bytes, signature: str, *parts: bytes) -> bool:
    """Return whether ``signature`` is `sign` of the same key and parts."""
    return same(sign(key, *parts), signature)


class SignedCookie:
    """A cookie whose content the browser can read but not change; expiry is inside the signature."""

    def __init__(self, key: bytes, name: str) -> None:
        """``key`` is the server's secret; ``name`` is part of what is signed, so a cookie cannot serve as another."""
        if len(key) < 16:
            raise ValueError("a signing key has at least 16 octets")
        self._key = key
        self.name = name

    def seal(self, payload: dict[str, Any], now_ms: int, ttl_s: int) -> str:
        """Return the cookie's value, valid until ``now_ms + ttl_s * 1000``."""
        body = base64.urlsafe_b64encode(msgspec.json.encode([now_ms + ttl_s * 1_000, payload]))
        return f"{body.decode()}.{sign(self._key, self.name.encode(), body)}"

    def open(self, text: str, now_ms: int) -> dict[str, Any] | None:
        """Return the payload; None when the value is not ours, was changed, or is over."""
        body, dot, signature = text.rpartition(".")
        # isascii: compare_digest and the decoder take ASCII only, and the text comes from outside.
        if not dot or not text.isascii() or len(text) > 4_096:
            return None
        if not verify_signature(self._key, signature, self.name.encode(), body.encode()):
            return None
        expires_ms, payload = msgspec.json.decode(base64.urlsafe_b64decode(body), type=tuple[int, dict[str, Any]])
        return payload if now_ms < expires_ms else None


def _octets(value: bytes | str) -> bytes:
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
