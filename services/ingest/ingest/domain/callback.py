"""Webhooks: which URLs may be called, how a delivery is signed, and when it is tried again.  Pure; addresses are resolved elsewhere."""

from __future__ import annotations

import hashlib
import hmac
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from ingest.domain.refusal import Refused

MAX_PAUSE_S = 3_600.0
"""An hour: within the day allowed, a receiver that comes back is noticed soon enough."""
NAT64 = "64:ff9b::"


def check_url(url: str, *, private: bool) -> str:
    """Return the URL; raises `Refused` (`callback_refused`) for what may not be called whatever its host resolves to."""
    if not url.isascii() or any(ord(character) <= 0x20 for character in url):
        raise _refused("only printable ASCII")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refused("not a URL") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _refused("http:// or https:// with a host")
    if parts.username is not None or parts.password is not None:
        raise _refused("no user or password in it")
    if port == 0:
        raise _refused("not a port")
    try:
        literal = ip_address(parts.hostname)
    except ValueError:
        literal = None
    if literal is not None and not allowed(literal, private=private):
        raise _refused("not a private or local address")
    if parts.hostname.lower().rstrip(".") == "localhost" and not private:
        raise _refused("not a private or local address")
    return url


def _refused(reason: str) -> Refused:
    return Refused("callback_refused", {"reason": reason})


def allowed(address: IPv4Address | IPv6Address, *, private: bool) -> bool:
    """Return whether a request may go to this address: globally routable ones, private ones only by setting."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return allowed(address.ipv4_mapped, private=private)
        if str(address).startswith(NAT64):
            return allowed(IPv4Address(int(address) & 0xFFFFFFFF), private=private)
    if address.is_multicast or address.is_unspecified:
        return False
    return private or address.is_global


def signature(secret: bytes, timestamp: int, body: bytes) -> str:
    """Return the ``Guanxin-Signature`` header: ``t=<Unix s>,v1=<hex HMAC-SHA256 of "<t>.<body>">``."""
    mac = hmac.new(secret, f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"t={timestamp},v1={mac.hexdigest()}"


def pause_s(failures: int, first_s: float, jitter: float) -> float:
    """Return seconds until the next try after ``failures`` (>= 1) in a row; ``jitter`` in [0, 1) takes up to a quarter off."""
    return float(min(MAX_PAUSE_S, first_s * 2 ** min(failures - 1, 20))) * (1 - jitter / 4)
