"""The MD5 logins of the Chinese protocols, which differ only in how many NULs they hash and how wide their status is."""

from __future__ import annotations

import hashlib
import hmac

from carrier.dialect import BindAnswer, BindRequest
from carrier.model import Refusal
from carrier.timetext import stamp_distance


def client_digest(account: bytes, nuls: int, secret: str, stamp: int) -> bytes:
    """MD5 of the account without padding, NULs, the secret, and the time as ten digits (reference 2.6, 4.5)."""
    return hashlib.md5(account + bytes(nuls) + secret.encode() + b"%010d" % stamp, usedforsecurity=False).digest()


def server_digest(status: int, width: int, client: bytes, secret: str) -> bytes:
    """MD5 of the status in ``width`` octets, the client's digest, the secret."""
    octets = (status & (1 << 8 * width) - 1).to_bytes(width, "big")
    return hashlib.md5(octets + client + secret.encode(), usedforsecurity=False).digest()


def check_login(request: BindRequest, nuls: int, secret: str, tolerance: float, wall: float) -> Refusal | None:
    """Whether the digest fits, compared in constant time, and was made within ``tolerance`` seconds (0: does not look)."""
    wanted = client_digest(request.account.encode("latin-1"), nuls, secret, request.stamp)
    if not hmac.compare_digest(wanted, request.proof):
        return Refusal.CREDENTIALS
    if tolerance:
        distance = stamp_distance(request.stamp, wall)
        if distance is None or distance > tolerance:
            return Refusal.CREDENTIALS
    return None


def proves(answer: BindAnswer, client: bytes, secret: str) -> bool:
    """Whether a server knows the secret. Implementations hash the status in one octet or in four: either will do."""
    proofs = [server_digest(answer.status, width, client, secret) for width in (1, 4)]
    return any(hmac.compare_digest(proof, answer.proof) for proof in proofs)
