"""What a gateway is to the comparison: it is set up as its manual advises, offered messages, killed, and looked at."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode

import psutil
from httpload import Traffic

from gateways.programs import Program

CONNECTIONS = 64
"""Keep-alive connections of the business system, one request under way on each."""


@dataclass
class Offered:
    """How the offering went: seconds of each request until it was accepted, and attempts that had to be repeated, by reason."""

    begun: float
    ended: float
    seconds: list[float]
    repeated: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Case:
    """One line of the comparison."""

    name: str
    how: str
    """How it was set up and offered, in a few words."""
    receipts: bool = True
    share: float = 1.0
    """Part of the asked number of messages: slow gateways would need minutes for all."""
    survives: str = ""
    """What its maker promises to keep when it is killed."""


class Gateway(ABC):
    """One gateway in one set-up."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case, self.folder = case, folder

    @property
    @abstractmethod
    def carrier(self) -> str:
        """Address of the simulated carrier's HTTP side."""

    @abstractmethod
    def start(self, callbacks: str) -> None:
        """Bring it up, bound to the carrier, ready for messages; ``callbacks`` is who is told of receipts."""

    @abstractmethod
    async def offer(self, first: int, count: int) -> Offered:
        """Hand over messages ``first`` to ``first + count - 1`` and return when all are accepted."""

    @abstractmethod
    def processes(self) -> dict[str, list[psutil.Process]]:
        """Return its processes, and the carrier's, by name."""

    @abstractmethod
    async def kill(self) -> None:
        """End every process of the gateway itself by SIGKILL, not its broker or database, and see that it comes up again."""

    @abstractmethod
    def stop(self) -> None:
        """End everything."""


def number_of(place: int) -> str:
    """Return the recipient of message ``place``."""
    return f"138{place:08d}"


def text_of(place: int) -> str:
    """Return the text of message ``place``: one segment, different for each."""
    return f"【示范电力】尊敬的客户，您户号3301{place:08d}本月电费{place % 300}.{place % 100:02d}元，请按时缴纳。"


async def offer_each(
    port: int, request: Callable[[int], bytes], first: int, count: int, accepted: Callable[[int, bytes], bool]
) -> Offered:
    """Offer messages one a request, as fast as they are accepted."""
    traffic = Traffic(
        "127.0.0.1", port, lambda place: request(first + place), count, connections=CONNECTIONS, accepted=accepted
    )
    await traffic.run()
    return Offered(traffic.begun, traffic.ended, traffic.seconds, traffic.repeated)


def get(path: str, fields: dict[str, str]) -> bytes:
    """Return a GET request with these fields in its query."""
    query = urlencode(fields, quote_via=quote)
    return f"GET {path}?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: keep-alive\r\n\r\n".encode()


def post(path: str, body: bytes, key: str, idempotency_key: str = "") -> bytes:
    """Return a POST request of a JSON body with its bearer key."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    )
    if idempotency_key:
        head += f"Idempotency-Key: {idempotency_key}\r\n"
    return head.encode() + b"\r\n" + body


def single(place: int, port: str, *, callback: str = "") -> bytes:
    """Return the body of one message."""
    body = {"port": port, "to": number_of(place), "class": "notice", "content": text_of(place)}
    return json.dumps({**body, **({"callback_url": callback} if callback else {})}, ensure_ascii=False).encode()


def running(programs: list[Program]) -> dict[str, list[psutil.Process]]:
    """Return the processes of programs by name."""
    return {program.name: program.tree() for program in programs}
