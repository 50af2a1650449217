"""Who may call: the operator's bearer token."""

from __future__ import annotations

from typing import Annotated

from fastapi import Security

from billing_sync.settings import BillingSettings
from servicekit.auth import same
from servicekit.bearer import bearer_token, unauthenticated


class Access:
    """The token of this installation."""

    def __init__(self, settings: BillingSettings) -> None:
        """Read it from the settings."""
        self._token = settings.operator_token.get_secret_value()

    async def __call__(self, token: Annotated[str, Security(bearer_token)]) -> str:
        """Return the caller's name; refuse without the token."""
        if not self._token or not same(self._token, token):
            raise unauthenticated()
        return "operator"
