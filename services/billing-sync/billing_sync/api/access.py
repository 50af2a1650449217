"""Who may call: the operator's bearer token."""

from __future__ import annotations

from fastapi import Request

from billing_sync.settings import BillingSettings
from servicekit.auth import same
from servicekit.problems import UNAUTHENTICATED, Problem


class Access:
    """The token of this installation."""

    def __init__(self, settings: BillingSettings) -> None:
        """Read it from the settings."""
        self._token = settings.operator_token.get_secret_value()

    async def __call__(self, request: Request) -> str:
        """Return the caller's name; refuse without the token."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not self._token or scheme.lower() != "bearer" or not same(self._token, token):
            raise Problem(
                UNAUTHENTICATED,
                zh="请在 Authorization 头中提供有效的令牌",
                en="Give a valid token in the Authorization header",
                headers={"www-authenticate": "Bearer"},
            )
        return "operator"
