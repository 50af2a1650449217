"""Several gateways in one process: added up, told apart, and a phone's reply comes by its own network."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from carrier_client import connect, running_carrier

from carrier import events
from carrier.dialects import NAMES
from guanxin.stack import paths
from sim.carrier.http import build_app
from sim.carrier.hub import Hub

SERVES = {"V": "smpp34", "B": "cmpp20", "M": "cmpp30", "U": "sgip12", "T": "smgp30"}
PHONES = {"smpp34": "17012345678", "cmpp20": "19212345678", "cmpp30": "13812345678", "sgip12": "13012345678",
          "smgp30": "13312345678"}  # fmt: skip


@contextlib.asynccontextmanager
async def all_carriers() -> AsyncIterator[tuple[Hub, dict[str, int], httpx.AsyncClient]]:
    async with contextlib.AsyncExitStack() as stack:
        running = {name: await stack.enter_async_context(running_carrier(protocol=name)) for name in NAMES}
        hub = Hub({name: carrier.gateway for name, carrier in running.items()}, SERVES)
        transport = httpx.ASGITransport(build_app(hub))
        http = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://sim"))
        yield hub, {name: carrier.port for name, carrier in running.items()}, http


async def test_gateways_are_added_up_and_a_reply_comes_by_its_network() -> None:
    async with all_carriers() as (_, ports, http):
        phones = {name: await connect(port, protocol=name) for name, port in ports.items()}
        for place, (name, phone) in enumerate(phones.items(), 1):
            phone.submit(*(f"{name} {number}" for number in range(place)))
            await phone.until(lambda phone=phone, place=place: len(phone.all(events.ReportReceived)) == place)
            answer = await http.post("/mo", json={"from": PHONES[name], "to": "10690001", "text": f"hello {name}"})
            assert answer.status_code == 200, answer.text
            await phone.until(lambda phone=phone: bool(phone.all(events.DeliverReceived)))
        stats = (await http.get("/stats")).json()
        assert (stats["submits"], stats["distinct"], stats["duplicates"], stats["mo_sent"]) == (15, 15, 0, 5)
        assert {name: one["accepted"] for name, one in stats["gateways"].items()} == dict(
            zip(NAMES, range(1, 6), strict=True)
        )
        assert stats["max_submits_in_1s"] == 5
        assert stats["accounts"]["smgp30/gx"]["accepted"] == 5
        shown = (await http.get("/messages", params={"limit": 200})).json()
        assert {(one["gateway"], one["text"].split()[0]) for one in shown} == {(name, name) for name in NAMES}
        await http.post("/reset")
        assert (await http.get("/stats")).json()["submits"] == 0
        for phone in phones.values():
            await phone.close()


async def test_faults_of_one_and_of_all() -> None:
    async with all_carriers() as (hub, _, http):
        await http.put("/faults", json={"latency_ms": 5})
        await http.put("/faults", params={"gateway": "sgip12"}, json={"throttle": 0.5})
        faults = {name: gateway.behaviour.faults for name, gateway in hub.gateways.items()}
        assert {name: (one.latency_ms, one.throttle) for name, one in faults.items()} == {
            name: (5, 0.5 if name == "sgip12" else 0) for name in NAMES
        }
        assert (await http.get("/faults", params={"gateway": "sgip12"})).json()["throttle"] == 0.5
        for method, path in (("PUT", "/faults"), ("GET", "/faults")):
            refused = await http.request(method, path, params={"gateway": "x25"}, json={})
            assert (refused.status_code, refused.json()["code"]) == (422, "unknown_gateway")
        refused = await http.put("/faults", json={"throttle": 7})
        assert refused.status_code == 422
        assert {gateway.behaviour.faults.throttle for gateway in hub.gateways.values()} == {0, 0.5}
        unknown = await http.post("/mo", json={"from": "13812345678", "to": "1069", "text": "x", "gateway": "x25"})
        assert unknown.json()["code"] == "unknown_gateway"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "empty"),
        ([{"protocol": "x25", "port": 0, "accounts": [{"account": "a", "secret": "b"}]}], "x25"),
        ([{"protocol": "smpp34", "port": 0, "accounts": []}], "no account"),
        ([{"protocol": "smpp34", "port": 0, "accounts": [{"account": "a", "secret": "b"}]}] * 2, "two gateways"),
    ],
)
def test_a_wrong_gateways_file_is_refused(tmp_path: Path, document: object, said: str) -> None:
    file = tmp_path / "gateways.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths.import_roots()))}
    command = [sys.executable, "-m", "sim.carrier", "--gateways", str(file), "--http-port", "0"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert said in done.stderr
