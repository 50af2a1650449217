"""The secrets of one local stack, made at random at its first start and kept in ``secrets.json`` (mode 0600): no
default password exists.

What a later version needs and an older file lacks is added; nothing that exists is changed.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import tempfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from guanxin.stack.services import SERVICES


def _token() -> str:
    return secrets.token_urlsafe(24)


def _key() -> str:
    return f"gx_{secrets.token_hex(8)}_{secrets.token_urlsafe(32)}"  # the shape of `servicekit.auth.ApiKey`


def _password() -> str:
    return secrets.token_urlsafe(9)  # 72 bits, and short enough to be typed into the demo's login page


@dataclass(frozen=True, slots=True)
class Login:
    """One console account of the demo."""

    role: str
    user: str
    password: str = field(default_factory=_password)


def schema_of(service: str) -> str:
    """Return the name of the service's database schema; its role is ``guanxin_<schema>``."""
    return service.removesuffix("-sync")


def _logins() -> list[Login]:
    return [
        Login("reviewer", "reviewer"),
        Login("supervisor", "supervisor"),
        Login("auditor", "auditor"),
        Login("admin", "admin"),
    ]


@dataclass(frozen=True, slots=True)
class Secrets:
    """All secrets; ``api_key`` is the demo enterprise's, ``operator_token`` is for administration over HTTP (the
    admin's key).
    """

    api_key: str = field(default_factory=_key)
    operator_token: str = field(default_factory=_key)
    session_secret: str = field(default_factory=_token)
    database_password: str = field(default_factory=_token)
    role_passwords: dict[str, str] = field(
        default_factory=lambda: {schema_of(service): _token() for service in SERVICES}
    )
    carrier_password: str = field(default_factory=lambda: secrets.token_hex(4))  # SMPP allows eight octets
    sftp_password: str = field(default_factory=_token)
    logins: list[Login] = field(default_factory=_logins)

    def of_service(self, service: str) -> dict[str, Any]:
        """Return what ``service`` may know, under its settings' names; one service cannot sign in another's name."""
        own = hmac.digest(self.session_secret.encode(), service.encode(), "sha256").hex()
        known: dict[str, Any] = {"session_secret": own, "operator_token": self.operator_token}
        if service == "review":
            known["logins"] = [asdict(login) | {"display": login.user} for login in self.logins]
        if service == "billing-sync":
            known["sftp_password"] = self.sftp_password
        return known


def load_or_create(path: Path) -> Secrets:
    """Return the secrets of ``path``, completing the file where something is missing."""
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if "logins" in known:
        known["logins"] = [Login(**login) for login in known["logins"]]
    complete = Secrets(**{item.name: known[item.name] for item in fields(Secrets) if item.name in known})
    if asdict(complete) != known:
        write_private(path, asdict(complete))
    return complete


def write_private(path: Path, content: Any) -> None:
    """Replace ``path`` by ``content`` as JSON that only its owner may read; a reader sees the old or the new file
    whole, also while two workers of a service are started at once and each writes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, scratch = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600, a name of its own
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(content, stream, indent=2, ensure_ascii=False)
        stream.flush()
        os.fsync(stream.fileno())
    Path(scratch).replace(path)
