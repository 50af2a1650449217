"""Bearer tokens of HTTP requests, declared so that the OpenAPI document names them; whose token it is the service says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from servicekit.auth import same
from servicekit.problems import UNAUTHENTICATED, Problem

MAX_TOKEN = 512
"""Characters; a longer one is nobody's."""

_scheme = HTTPBearer(auto_error=False, scheme_name="token", description="Authorization: Bearer …")


async def bearer_token(given: Annotated[HTTPAuthorizationCredentials | None, Security(_scheme)]) -> str:
    """Return the request's bearer token, empty where there is none; a dependency."""
    token = "" if given is None else given.credentials
    return token if len(token) <= MAX_TOKEN else ""


def unauthenticated() -> Problem:
    """Return the refusal of a request without a valid token."""
    return Problem(
        UNAUTHENTICATED,
        zh="请在 Authorization 头中提供有效的令牌：Bearer …",
        en="Give a valid token in the Authorization header: Bearer …",
        headers={"www-authenticate": "Bearer"},
    )


def operator_only(token: str) -> Callable[[str], Awaitable[None]]:
    """Return the dependency that lets only the holder of ``token`` pass; an empty token lets nobody pass."""

    async def check(given: Annotated[str, Security(bearer_token)]) -> None:
        if not token or not same(token, given):
            raise unauthenticated()

    return check
