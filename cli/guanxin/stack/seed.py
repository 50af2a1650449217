"""``python -m guanxin.stack.seed``: the register of a local stack, over the services' own HTTP interfaces.

Always: one enterprise, its ports with their review policies, an approved code template, and the API key of the stack's secrets.
Running it again changes nothing.  Runs on the way up, with the operator's token.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

TENANT = "demo"
ENTERPRISE = "demo"
ENTERPRISE_NAME = "关心示范企业"


@dataclass(frozen=True, slots=True)
class SeedPort:
    """A port of the demo enterprise with its tier in review."""

    port: str
    name: str
    signature: str
    tier: str


CODES = SeedPort("10690001", "示范银行 验证码", "示范银行", "general")
BANK = SeedPort("106980095588", "示范银行 通知", "示范银行", "general")
POWER = SeedPort("95598", "示范电力 客户服务", "示范电力", "trusted")
SHOP = SeedPort("1069800888", "示范商城 营销", "示范商城", "high")
STAFF = SeedPort("10657001", "示范企业 内部通知", "示范企业", "trusted")

PORTS: tuple[SeedPort, ...] = (CODES, BANK, POWER, SHOP, STAFF)

CODE_TEMPLATE = "【示范银行】您的验证码是{code}，5分钟内有效，请勿告诉他人。"

KEY_NAME = "demo-key"


class SeedError(Exception):
    """A service refused; the text says which, what and why."""


class Seeder:
    """Calls the services' administration interfaces as the operator."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._secrets: dict[str, Any] = json.loads(Path(environment["GUANXIN_SECRETS_FILE"]).read_text("utf-8"))
        token = self._secrets["operator_token"]
        self._http = httpx.Client(timeout=30, headers={"Authorization": f"Bearer {token}"})

    def register(self) -> None:
        """Make the enterprise, its ports and its key."""
        self._call("ingest", "POST", "/v1/admin/enterprises", {
            "tenant": TENANT, "enterprise": ENTERPRISE, "name": ENTERPRISE_NAME, "grade": "gold",
        })  # fmt: skip
        for port in PORTS:
            self._call("ingest", "POST", "/v1/admin/ports", {
                "tenant": TENANT, "enterprise": ENTERPRISE, "port": port.port, "name": port.name,
                "signature": port.signature,
            })  # fmt: skip
            self._call("review", "PUT", f"/v1/ports/{port.port}/policy", {
                "tier": port.tier, "enterprise": ENTERPRISE, "fast_lane": port is POWER,
            })  # fmt: skip
        self._call("ingest", "POST", "/v1/admin/keys", {
            "tenant": TENANT, "enterprise": ENTERPRISE, "name": KEY_NAME, "key": self._secrets["api_key"],
            "scopes": ["send", "read", "admin"], "any_sender": True, "rate": 100_000, "burst": 200_000,
        }, already=(409,))  # fmt: skip

    def code_template(self) -> None:
        """Approve the code template of the code port, once."""
        known = self._call("spamfilter", "GET", "/v1/code-templates", None)
        if not any(row["port"] == CODES.port and row["pattern"] == CODE_TEMPLATE for row in known):
            body = {"tenant": TENANT, "port": CODES.port, "pattern": CODE_TEMPLATE}
            self._call("spamfilter", "POST", "/v1/code-templates", body)

    def _call(self, service: str, method: str, path: str, body: Any, already: tuple[int, ...] = ()) -> Any:
        url = self._environment[f"GUANXIN_{service.upper().replace('-', '_')}_URL"] + path
        answer = self._http.request(method, url, json=body)
        if answer.is_success:
            return answer.json() if answer.content else None
        if answer.status_code in already:
            return None
        raise SeedError(f"{method} {service}{path}: {answer.status_code} {answer.text[:500]}")


def main() -> int:
    """Seed, and return the exit code."""
    seeder = Seeder(dict(os.environ))
    try:
        seeder.register()
        seeder.code_template()
    except (SeedError, httpx.HTTPError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
