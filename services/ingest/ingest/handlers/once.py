"""The same idempotency key gives the same answer, also while the first request is still under way.

Inside a process the second request waits for the first one's answer; between processes PostgreSQL's unique key decides (see
`ingest.store.accepts.claim`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from ingest import problems
from servicekit.problems import INVALID_REQUEST, Problem

_KEY = re.compile(r"[\x21-\x7e]{1,200}\Z")


class Answer(NamedTuple):
    """What the caller is told: an HTTP status and a JSON document."""

    status: int
    body: bytes
    repeated: bool = False
    """Whether this is the answer of an earlier request of the same key."""


def checked_key(text: str) -> str:
    """Return the idempotency key; raises `Problem` (422) when it is none."""
    if text and not _KEY.match(text):
        raise Problem(
            INVALID_REQUEST,
            zh="Idempotency-Key：1 至 200 个可见 ASCII 字符",
            en="Idempotency-Key: 1 to 200 visible ASCII characters",
        )
    return text


def conflict() -> Problem:
    """Return the refusal of a key used for another body."""
    return Problem(problems.IDEMPOTENCY_CONFLICT)


def repeated(body_digest: bytes, stored_digest: bytes, status: int, answer: bytes) -> Answer:
    """Return the stored answer again; raises `Problem` (409) when the body is another."""
    if body_digest != stored_digest:
        raise conflict()
    return Answer(status, answer, repeated=True)


class InFlight:
    """Requests with an idempotency key that are under way in this process."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], tuple[bytes, asyncio.Future[Answer]]] = {}

    async def once(
        self, key_id: str, idem_key: str, body_digest: bytes, work: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """Return ``work``'s answer, or that of the same request already under way; raises `Problem` (409) and what work raises."""
        place = (key_id, idem_key)
        found = self._open.get(place)
        if found is not None:
            if found[0] != body_digest:
                raise conflict()
            return (await asyncio.shield(found[1]))._replace(repeated=True)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._open[place] = (body_digest, future)
        try:
            answer = await work()
        except BaseException as error:
            # Whoever waits shares the fate, and may repeat; if nobody waits, the exception is still seen by the caller below.
            future.set_exception(
                error if isinstance(error, Exception) else ConnectionError("the first request was cut off")
            )
            future.exception()
            raise
        else:
            future.set_result(answer)
            return answer
        finally:
            del self._open[place]
