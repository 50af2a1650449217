"""Keys derived from the installation's secret: digests of API keys, encryption of signing secrets at rest.

One secret, several purposes: each has its own derived key, so none can stand for another.
"""

from __future__ import annotations

import base64
import hmac

from cryptography.fernet import Fernet

from servicekit.auth import digest_secret


class Sealer:
    """Digests API keys and encrypts what must be readable again."""

    def __init__(self, session_secret: str) -> None:
        """``session_secret`` has at least 16 characters; changing it makes every key and secret useless."""
        if len(session_secret) < 16:
            raise ValueError("session_secret: at least 16 characters")
        root = session_secret.encode()
        self._pepper = hmac.digest(root, b"ingest/api-key", "sha512")
        self._fernet = Fernet(base64.urlsafe_b64encode(hmac.digest(root, b"ingest/signing-secret", "sha256")))

    def digest(self, key_text: str) -> bytes:
        """Return the 32 octets by which a key is found."""
        return digest_secret(key_text, self._pepper)

    def seal(self, secret: str) -> bytes:
        """Return the secret encrypted and authenticated."""
        return self._fernet.encrypt(secret.encode())

    def open(self, sealed: bytes) -> bytes:
        """Return the secret; raises cryptography's InvalidToken when the octets are not ours."""
        return self._fernet.decrypt(sealed)
