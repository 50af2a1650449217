"""Who may call: bearer tokens with a role each.  viewer screens and reads, editor changes drafts, admin puts them in
force.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

import msgspec
from fastapi import Security

from servicekit.auth import same
from servicekit.bearer import bearer_token, unauthenticated
from servicekit.problems import FORBIDDEN, Problem
from servicekit.settings import SettingsError
from spamfilter.settings import SpamfilterSettings


class Role(IntEnum):
    """A greater role may do all a smaller one may."""

    VIEWER = 1
    EDITOR = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls; the name stands in the record of changes."""

    name: str
    role: Role


class _Token(msgspec.Struct, frozen=True):
    name: str
    role: str
    token: str


class Access:
    """The tokens of this installation."""

    def __init__(self, settings: SpamfilterSettings) -> None:
        """Read the tokens; raises `SettingsError` when the list is not as described in the settings."""
        self._callers: list[tuple[str, Caller]] = []
        if operator := settings.operator_token.get_secret_value():
            self._callers.append((operator, Caller("operator", Role.ADMIN)))
        if text := settings.spamfilter_tokens.get_secret_value():
            try:
                tokens = msgspec.json.decode(text, type=list[_Token])
                self._callers += [(t.token, Caller(t.name, Role[t.role.upper()])) for t in tokens]
            except (msgspec.DecodeError, KeyError) as error:
                # The error's text may quote a token.
                raise SettingsError("spamfilter_tokens: a JSON list of {name, role, token} was expected") from error

    def require(self, role: Role) -> Callable[[str], Awaitable[Caller]]:
        """Return the dependency that lets callers of at least ``role`` pass."""

        async def check(token: Annotated[str, Security(bearer_token)]) -> Caller:
            # All are compared, so the time taken does not say which was close; no known token is empty.
            matches = [caller for known, caller in self._callers if same(known, token) and known]
            if not matches:
                raise unauthenticated()
            self.demand(matches[0], role)
            return matches[0]

        return check

    def demand(self, caller: Caller, role: Role) -> None:
        """Refuse a caller whose role is less than ``role``."""
        if caller.role < role:
            raise Problem(FORBIDDEN, zh=f"需要 {role.name.lower()} 角色", en=f"Role {role.name.lower()} is needed")
