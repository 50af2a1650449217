r"""Who is asking, and may he: bearer key, scope, rate, optional signature of the request.

The signature is ``hex(HMAC-SHA256(secret, timestamp + "\n" + method + "\n" + path?query + "\n" + hex(SHA-256(body))))``; a timestamp
outside the window and a signature seen before are refused.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections import OrderedDict
from collections.abc import Iterable

from ingest import problems
from ingest.domain.bucket import TokenBucket
from ingest.domain.register import Key
from ingest.handlers.register import RegisterCache
from servicekit.auth import same
from servicekit.clock import Clock
from servicekit.problems import TOO_MANY_REQUESTS, UNAUTHENTICATED, Problem

MAX_REMEMBERED = 200_000
"""Signatures remembered against replay; at 8,000 signed requests a second the window's oldest may be forgotten early."""

Headers = Iterable[tuple[bytes, bytes]]


class Credentials:
    """What the headers of a request say, as far as the gate is concerned."""

    __slots__ = ("accept_language", "idempotency_key", "signature", "timestamp", "token", "traceparent")

    def __init__(self, headers: Headers) -> None:
        self.token = self.signature = self.timestamp = self.idempotency_key = self.traceparent = ""
        self.accept_language = ""
        for name, value in headers:
            if name == b"authorization":
                if value[:7].lower() == b"bearer ":
                    self.token = value[7:].strip().decode("latin-1")
            elif name == b"idempotency-key":
                self.idempotency_key = value.decode("latin-1")
            elif name == b"accept-language":
                self.accept_language = value.decode("latin-1")
            elif name == b"guanxin-signature":
                self.signature = value.decode("latin-1")
            elif name == b"guanxin-timestamp":
                self.timestamp = value.decode("latin-1")
            elif name == b"traceparent":
                self.traceparent = value.decode("latin-1")


class Gate:
    """Holds the rate buckets and the signatures seen; one per process."""

    def __init__(self, register: RegisterCache, clock: Clock, operator_token: str, signature_window_s: int) -> None:
        self._register = register
        self._clock = clock
        self._operator_token = operator_token
        self._window_s = signature_window_s
        self._buckets: dict[str, TokenBucket] = {}
        self._seen: OrderedDict[str, float] = OrderedDict()

    def key(self, credentials: Credentials, scope: str) -> Key:
        """Return the caller's key; raises `Problem` (401, 403, 429)."""
        key = self._register.find(credentials.token) if 0 < len(credentials.token) <= 200 else None
        if key is None:
            raise Problem(
                UNAUTHENTICATED,
                zh="需要有效的 API 密钥：Authorization: Bearer gx_…",
                en="A valid API key is needed: Authorization: Bearer gx_...",
                headers={"www-authenticate": "Bearer"},
            )
        if scope not in key.scopes:
            raise Problem(problems.SCOPE_MISSING, zh=f"需要权限 {scope}", en=f"The scope {scope} is needed")
        self._rate(key)
        return key

    def operator(self, credentials: Credentials) -> bool:
        """Return whether the request carries the operator's token."""
        return bool(self._operator_token) and same(credentials.token, self._operator_token)

    def _rate(self, key: Key) -> None:
        now = self._clock.monotonic()
        bucket = self._buckets.get(key.key_id)
        if bucket is None or bucket.rate != key.rate or bucket.burst != key.burst:
            bucket = self._buckets[key.key_id] = TokenBucket(key.rate, key.burst, now)
        wait = bucket.take(now)
        if wait:
            raise Problem(
                TOO_MANY_REQUESTS,
                zh=f"该密钥每秒最多 {key.rate} 个请求",
                en=f"This key may send {key.rate} requests a second",
                headers={"retry-after": str(math.ceil(wait))},
            )

    def signed(self, key: Key, credentials: Credentials, method: str, target: str, body_sha256: str) -> None:
        """Check the request's signature where there is one or the key needs one; raises `Problem` (401)."""
        if not credentials.signature:
            if key.require_signature:
                raise Problem(problems.SIGNATURE_INVALID, zh="该密钥要求请求签名", en="This key needs signed requests")
            return
        now = self._clock.wall_ms() / 1000
        timestamp = credentials.timestamp
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
            raise Problem(problems.SIGNATURE_INVALID, zh="缺少 Guanxin-Timestamp", en="Guanxin-Timestamp is missing")
        if abs(int(timestamp) - now) > self._window_s:
            raise Problem(problems.SIGNATURE_INVALID, zh="时间戳超出允许范围", en="The timestamp is outside the window")
        expected = sign_request(self._register.secret(key), timestamp, method, target, body_sha256)
        if not same(expected, credentials.signature.lower()):
            raise Problem(problems.SIGNATURE_INVALID)
        self._remember(expected, int(timestamp) + self._window_s, now)

    def _remember(self, signature: str, until: float, now: float) -> None:
        if signature in self._seen:
            raise Problem(problems.SIGNATURE_REPLAYED)
        self._seen[signature] = until
        while self._seen:
            oldest = next(iter(self._seen))
            if self._seen[oldest] >= now and len(self._seen) <= MAX_REMEMBERED:
                break
            del self._seen[oldest]


def sign_request(secret: bytes, timestamp: str, method: str, target: str, body_sha256: str) -> str:
    """Return the signature a caller puts on a request; ``target`` is the path with its query."""
    text = f"{timestamp}\n{method}\n{target}\n{body_sha256}"
    return hmac.new(secret, text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()
