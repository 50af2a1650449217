"""Business systems, reviewers and phones of the end-to-end tests, on one shared stack."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from guanxin.show import FINAL

PATIENCE_S = 60.0


class World:
    """Everybody outside the platform, speaking to it only through its interfaces."""

    def __init__(self, document: dict[str, Any], operator_token: str) -> None:
        self.document = document
        bearer = {"Authorization": f"Bearer {document['api']['key']}"}
        self.api = httpx.Client(base_url=document["api"]["url"], headers=bearer, timeout=60)
        self.operator = {"Authorization": f"Bearer {operator_token}"}
        self.simulator = httpx.Client(base_url=self._http("simulator"), timeout=30)
        self.review = httpx.Client(base_url=document["console"]["url"], headers=self.operator, timeout=30)
        self._numbers = itertools.count(secrets.randbelow(90_000_000) + 10_000_000)

    def _http(self, kind: str) -> str:
        ports = next(item["ports"] for item in self.document["components"] if item["kind"] == kind)
        return f"http://127.0.0.1:{ports['http']}"

    def service(self, name: str) -> str:
        """Return a service's base URL."""
        found = next(item for item in self.document["components"] if item.get("service") == name)
        return f"http://127.0.0.1:{found['ports']['http']}"

    def numbers(self, count: int) -> list[str]:
        """Return recipients nobody else has, none of which the simulator refuses to deliver to."""
        made = []
        while len(made) < count:
            number = f"137{next(self._numbers) % 100_000_000:08d}"
            if not number.endswith("0404"):
                made.append(number)
        return made

    def number(self) -> str:
        return self.numbers(1)[0]

    def post(self, path: str, body: dict[str, Any], **headers: str) -> dict[str, Any]:
        answer = self.api.post(path, json=body, headers=headers)
        assert answer.status_code == 202, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def send(self, port: str, to: str, text: str, lane: str = "notice", **more: Any) -> str:
        """Post one message; returns its id."""
        return str(self.post("/v1/messages", {"port": port, "to": to, "content": text, "class": lane, **more})["id"])

    def get(self, path: str, **params: Any) -> Any:
        answer = self.api.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def message(self, message_id: str) -> dict[str, Any]:
        document: dict[str, Any] = self.get(f"/v1/messages/{message_id}")
        return document

    def until(self, ask: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
        """Return the first true answer; fails with ``what`` when there is none in time."""
        deadline = time.monotonic() + patience_s
        while True:
            found = ask()
            if found:
                return found
            assert time.monotonic() < deadline, what
            time.sleep(0.05)

    def until_final(self, message_id: str, patience_s: float = PATIENCE_S) -> dict[str, Any]:
        def final() -> dict[str, Any] | None:
            document = self.message(message_id)
            return document if document["state"] in FINAL else None

        document: dict[str, Any] = self.until(final, f"{message_id} is not final", patience_s)
        return document

    def until_counts(self, task_id: str, **counts: int) -> dict[str, Any]:
        def there() -> dict[str, Any] | None:
            document = self.get(f"/v1/tasks/{task_id}")
            return document if all(document["counts"].get(name, 0) == n for name, n in counts.items()) else None

        document: dict[str, Any] = self.until(there, f"{task_id} never had {counts}")
        return document

    def phone_says(self, number: str, port: str, text: str) -> None:
        answer = self.simulator.post("/mo", json={"from": number, "to": port, "text": text})
        assert answer.status_code == 200, answer.text

    def shown_on(self, number: str) -> list[str]:
        """Return the texts the simulated phone shows, newest first."""
        messages = self.simulator.get("/messages", params={"limit": 200}).json()
        return [message["text"] for message in messages if message["recipient"].endswith(number)]

    def close(self) -> None:
        for client in (self.api, self.simulator, self.review):
            client.close()


@pytest.fixture(scope="session")
def world(stack: Any) -> Iterator[World]:
    import json

    secrets_file = json.loads((stack.local / "secrets.json").read_text(encoding="utf-8"))
    made = World(stack.status(), secrets_file["operator_token"])
    yield made
    made.close()
