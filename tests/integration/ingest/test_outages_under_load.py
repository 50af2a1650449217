"""PostgreSQL falls silent and dies under load: no request is stuck, and each is accepted once however often it is repeated."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import asyncpg
import httpx
import pytest
from silence import Silence, silence

REQUESTS = 24
RECIPIENTS = 250
"""Of every other request: a body for the composing processes, and more than a socket's buffer on its way to PostgreSQL."""
PATIENCE_S = 3.0
LONG_S = 120.0


@pytest.mark.timeout(300)
async def test_every_request_is_accepted_once_in_the_end(start, postgres_url, tmp_path, eventually):
    async with start(postgres_url) as seeded:
        settings, key, operator = seeded.settings, seeded.key, seeded.operator
    async with silence(postgres_url) as line:
        port = _free_port()
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "GUANXIN_DATABASE_URL": line.url,
            "GUANXIN_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
            "GUANXIN_SESSION_SECRET": settings.session_secret.get_secret_value(),
            "GUANXIN_STATE_DIR": str(tmp_path / "process"),
            "GUANXIN_GROUP_SUFFIX": settings.group_suffix,
            "GUANXIN_HTTP_PORT": str(port),
            "GUANXIN_OPERATOR_TOKEN": operator,
            "GUANXIN_INSTANCE": "process",
            "GUANXIN_DB_STATEMENT_TIMEOUT_MS": "2000",
        }
        log = Path(tmp_path, "process.log")
        process = await asyncio.to_thread(_launch, environment, log)
        try:
            headers = {"authorization": f"Bearer {key}"}
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as http:

                async def live():
                    try:
                        return (await http.get("/health/ready")).status_code == 200
                    except httpx.HTTPError:
                        return False

                await eventually(live, within=120)
                async with asyncio.timeout(LONG_S), asyncio.TaskGroup() as group:
                    for number in range(REQUESTS):
                        group.create_task(_accepted(http, number))
                    group.create_task(_trouble(line))
            assert process.poll() is None, _end_of(log)
        finally:
            line.end()
            process.terminate()
            await asyncio.to_thread(process.wait)
    database = await asyncpg.connect(postgres_url)
    try:
        stored = await database.fetchval("select sum(count) from ingest.chunk")
    finally:
        await database.close()
    assert stored == REQUESTS // 2 * RECIPIENTS + REQUESTS // 2


def _launch(environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as stream:
        return subprocess.Popen([sys.executable, "-m", "ingest"], env=environment, stdout=stream, stderr=stream)


def _end_of(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2_000:]


async def _accepted(http: httpx.AsyncClient, number: int) -> None:
    """Post one request until it is accepted, spread over the time of the troubles."""
    await asyncio.sleep(number * 0.25)
    body: dict[str, object] = {"port": "95598", "class": "notice", "content": f"停电通知 {number}"}
    if number % 2:
        path, body = "/v1/messages", {**body, "to": "13800138000"}
    else:
        path = "/v1/tasks"
        body["recipients"] = [{"to": f"138{place:08d}", "variables": {"x": "长" * 40}} for place in range(RECIPIENTS)]
        body["template"] = f"{body.pop('content')} {{x}}"
    octets = json.dumps(body).encode()
    headers = {"idempotency-key": f"k{number}", "content-type": "application/json"}
    while True:
        try:
            answer = await http.post(path, content=octets, headers=headers, timeout=PATIENCE_S)
        except httpx.HTTPError:
            pass  # what a caller sees of an outage; he asks again
        else:
            if answer.status_code == 202:
                return
            assert answer.status_code == 503, answer.text
        await asyncio.sleep(0.5)


async def _trouble(line: Silence) -> None:
    await asyncio.sleep(1)
    line.fall()
    await asyncio.sleep(2.5)
    line.end()
    await asyncio.sleep(0.5)
    line.die()
    await asyncio.sleep(1)
    line.end()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
