"""How commands reach the platform: where its services are, with which key, and what an answer means for the exit code.

Addresses and keys come from the environment (``GUANXIN_API_URL``, ``GUANXIN_API_KEY``, ``GUANXIN_OPERATOR_TOKEN``,
``GUANXIN_<SERVICE>_URL``), and where it is silent from the local stack that runs here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, NoReturn

import httpx

from guanxin import output
from guanxin.i18n import language, t
from guanxin.output import Exit
from guanxin.stack import client as stack
from guanxin.stack import paths

TIMEOUT_S = 60.0
"""Longer than any answer of the platform: an upload of a million rows is answered within it."""

_MISUSE = {400, 413, 415, 422}


class Platform:
    """The platform as one caller sees it; calls end the command with the right exit code when they fail."""

    def __init__(self) -> None:
        self._document: dict[str, Any] | None = None
        self._http = httpx.Client(timeout=TIMEOUT_S, headers={"Accept-Language": language()})

    def address(self, service: str) -> str:
        """Return the base URL of a service (``ingest``, ``review``, ...)."""
        name = "API" if service == "ingest" else service.upper().replace("-", "_")
        given = os.environ.get(f"GUANXIN_{name}_URL", "")
        if given:
            return given.rstrip("/")
        for component in self._stack()["components"]:
            if component.get("service") == service and "http" in component["ports"]:
                return f"http://127.0.0.1:{component['ports']['http']}"
        output.fail(
            Exit.UNREACHABLE,
            t(f"本机没有运行 {service}。", f"No {service} runs here."),
            t("启动：guanxin stack up --detach，或设置", "Start it: guanxin stack up --detach, or set ")
            + f"GUANXIN_{name}_URL",
        )

    def simulators(self) -> list[str]:
        """Return the base URLs of the local stack's carrier simulators."""
        return [
            f"http://127.0.0.1:{component['ports']['http']}"
            for component in self._stack()["components"]
            if component["kind"] == "simulator" and "http" in component["ports"]
        ]

    def broker(self) -> str:
        """Return Kafka's bootstrap servers."""
        given = os.environ.get("GUANXIN_KAFKA_BOOTSTRAP_SERVERS", "")
        return given or str(self._stack()["kafka"]["bootstrap_servers"])

    def database(self) -> str:
        """Return the URL of the database, with the owner's rights."""
        return os.environ.get("GUANXIN_DATABASE_URL", "") or str(self._stack()["database"]["url"])

    def call(
        self,
        service: str,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        files: Any = None,
        operator: bool = False,
    ) -> Any:
        """Return the JSON answer; a refusal ends the command with 1 or 2, an unreachable service with 3."""
        bearer = self._operator_token() if operator else self._api_key()
        url = self.address(service) + path
        try:
            answer = self._http.request(
                method,
                url,
                json=body,
                files=files,
                params={name: value for name, value in (params or {}).items() if value is not None},
                headers={"Authorization": f"Bearer {bearer}", **(headers or {})},
            )
        except httpx.HTTPError as error:
            self._unreachable(service, error)
        if answer.is_success:
            return answer.json() if answer.content else None
        self._refused(answer)

    def outside(self, method: str, url: str, body: Any = None) -> Any:
        """Return the JSON answer of a simulator, which needs no key."""
        try:
            answer = self._http.request(method, url, json=body)
        except httpx.HTTPError as error:
            self._unreachable(url, error)
        if answer.is_success:
            return answer.json()
        self._refused(answer)

    def _stack(self) -> dict[str, Any]:
        if self._document is None:
            self._document = stack.status()
        if self._document["state"] == "down":
            output.fail(
                Exit.UNREACHABLE,
                t("本机平台没有运行。", "The local stack is not running."),
                t("启动：guanxin stack up --detach", "Start it: guanxin stack up --detach"),
            )
        return self._document

    def _api_key(self) -> str:
        return os.environ.get("GUANXIN_API_KEY", "") or str(self._stack()["api"]["key"])

    def _operator_token(self) -> str:
        given = os.environ.get("GUANXIN_OPERATOR_TOKEN", "")
        if given:
            return given
        path = paths.local_dir() / "secrets.json"
        if path.exists():
            return str(json.loads(path.read_text(encoding="utf-8"))["operator_token"])
        output.fail(
            Exit.NO,
            t("需要操作员令牌。", "An operator's token is needed."),
            t("请设置 GUANXIN_OPERATOR_TOKEN", "Set GUANXIN_OPERATOR_TOKEN"),
        )

    def _unreachable(self, service: str, error: Exception) -> NoReturn:
        output.fail(
            Exit.UNREACHABLE,
            t(f"无法连接 {service}：{error}", f"{service} cannot be reached: {error}"),
            t("查看：guanxin stack status", "Look at: guanxin stack status"),
        )

    def _refused(self, answer: httpx.Response) -> NoReturn:
        """End the command with what the problem details say: field and reason included."""
        code, text = f"http_{answer.status_code}", answer.text[:500]
        try:
            problem = answer.json()
        except ValueError:
            problem = {}
        if isinstance(problem, dict) and "code" in problem:
            code = str(problem["code"])
            text = str(problem.get("detail") or problem.get("title") or "")
            for fault in problem.get("errors", []):
                text += f"\n    {json.dumps(fault, ensure_ascii=False)}"
        exit_code = Exit.MISUSE if answer.status_code in _MISUSE else Exit.NO
        if answer.status_code >= 500:
            exit_code = Exit.UNREACHABLE
        output.fail(exit_code, f"{code}: {text}")
