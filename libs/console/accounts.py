"""Who is logged in and what he may do: the protocol a service implements, and the roles of the console (review.md)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Role(StrEnum):
    """Roles; the auditor reads everything and changes nothing."""

    REVIEWER = "reviewer"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Account:
    """A person."""

    name: str
    display: str
    role: Role
    tenant: str
    api_users: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The name pages show."""
        return self.display or self.name


@dataclass(frozen=True, slots=True)
class Login:
    """A live session; ``csrf`` must come back with everything that changes something."""

    account: Account
    csrf: str
    token: str


class Refusal(StrEnum):
    """Why a login failed.  `WRONG` covers unknown names too, so that names cannot be found out."""

    WRONG = "wrong"
    LOCKED = "locked"


class Accounts(Protocol):
    """What the shell needs of a service's people."""

    async def sign_in(self, name: str, password: str) -> Login | Refusal:
        """Open a session, or say why not; counts wrong tries and locks."""
        ...

    async def session(self, token: str) -> Login | None:
        """Return the live session of a cookie, and keep it alive."""
        ...

    async def sign_out(self, login: Login) -> None:
        """End the session."""
        ...
