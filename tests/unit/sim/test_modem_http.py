"""The modem simulator's HTTP side and its command line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from modem_pool import computer, running_modems

from gsm.modem_events import Lost, Ready, Received
from sim.modem.__main__ import _arguments, identities, main, ports
from sim.modem.http import build_app
from sim.modem.pool import Pool
from sim.modem.port import PtyPort, TcpPort


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[Pool]:
    async with running_modems(tmp_path, 2) as pool:
        yield pool


@pytest.fixture
async def http(pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(build_app(pool))
    async with httpx.AsyncClient(transport=transport, base_url="http://modems") as client:
        yield client


async def test_who_is_there(pool: Pool, http: httpx.AsyncClient) -> None:
    assert (await http.get("/health/ready")).json() == {"status": "ok"}
    first, second = (await http.get("/modems")).json()
    assert (first["name"], first["number"], second["number"]) == ("modem-1", "8613900000001", "8613900000002")
    assert first["address"] == pool.units["modem-1"].port.address
    assert (first["plugged"], first["running"], first["waiting"]) == (True, True, 0)
    assert first["stored"] == {"SM": 0, "ME": 0, "SR": 0}


async def test_faults_of_all_and_of_one(pool: Pool, http: httpx.AsyncClient) -> None:
    assert (await http.put("/faults", json={"refuse": 0.5})).json()["refuse"] == 0.5
    assert (await http.put("/modems/modem-2/faults", json={"silence": True})).json()["refuse"] == 0.5
    assert (await http.get("/modems/modem-1/faults")).json()["silence"] is False
    assert (await http.get("/modems/modem-2/faults")).json()["silence"] is True
    assert (await http.get("/faults")).json()["refuse"] == 0.5
    assert (await http.put("/faults", json={"reset": True})).json()["refuse"] == 0
    assert pool.units["modem-2"].device.faults.silence is False


@pytest.mark.parametrize("change", [{"refuse": 2}, {"nonsense": 1}, [], {"undelivered_suffix": "x"}])
async def test_faults_that_make_no_sense(http: httpx.AsyncClient, change: object) -> None:
    answer = await http.put("/faults", json=change)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_faults")


async def test_a_body_is_bounded(http: httpx.AsyncClient) -> None:
    assert (await http.put("/faults", content=b" " * 70_000)).status_code == 422


@pytest.mark.parametrize("path", ["/modems/none/faults", "/modems/none/plug", "/modems/modem-1/paint"])
async def test_what_is_not_there(http: httpx.AsyncClient, path: str) -> None:
    if path.endswith("faults"):
        assert (await http.get(path)).status_code == 404
        assert (await http.put(path, json={})).status_code == 404
    else:
        assert (await http.post(path)).status_code == 404


async def test_messages_from_phones(pool: Pool, http: httpx.AsyncClient) -> None:
    async with computer(pool) as owner:
        for to in ("modem-1", "8613900000001", "+8613900000001"):
            answer = await http.post("/mo", json={"from": "+8613700000001", "to": to, "text": "您好，" * 30})
            assert answer.json() == {"queued": True, "segments": 2}
        await owner.until(lambda: len(owner.all(Received)) == 6)
    for wrong, code in (
        ({"from": "+86", "to": "", "text": "x"}, "unknown_modem"),
        ({"from": "+86", "to": "none", "text": "x"}, "unknown_modem"),
        ({"from": "+86", "to": "modem-1"}, "invalid_message"),
        ({"from": "1" * 21, "to": "modem-1", "text": "x"}, "invalid_message"),
    ):
        answer = await http.post("/mo", json=wrong)
        assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_too_many_messages(pool: Pool, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.modem.arrivals.MOST_INCOMING", 0)
    answer = await http.post("/mo", json={"from": "10086", "to": "modem-1", "text": "x"})
    assert answer.json()["code"] == "invalid_message"


async def test_pulling_plugging_and_restarting(pool: Pool, http: httpx.AsyncClient) -> None:
    async with computer(pool) as owner:
        await http.post("/modems/modem-1/reboot")
        await owner.until(lambda: len(owner.all(Ready)) == 2)
        await http.post("/modems/modem-1/unplug")
        await http.post("/modems/modem-1/unplug")
        await http.post("/modems/modem-1/reboot")  # nothing is there to start
        await owner.until(lambda: bool(owner.all(Lost)))
        assert (await http.get("/modems")).json()[0]["plugged"] is False
        await http.post("/mo", json={"from": "10086", "to": "modem-1", "text": "kept by the network"})
        await http.post("/modems/modem-1/plug")
        await owner.until(lambda: len(owner.all(Ready)) == 3 and bool(owner.all(Received)))
    stats = (await http.get("/stats")).json()
    assert (stats["disconnects"], stats["reboots"], stats["sessions"]) == (1, 1, 2)
    await http.post("/reset")
    assert (await http.get("/stats")).json()["disconnects"] == 0
    assert (await http.get("/messages", params={"limit": 5})).json() == []


async def test_the_only_modem_needs_no_name(tmp_path: Path) -> None:
    async with running_modems(tmp_path) as pool:
        transport = httpx.ASGITransport(build_app(pool))
        async with httpx.AsyncClient(transport=transport, base_url="http://modems") as client:
            assert (await client.post("/mo", json={"from": "10086", "text": "x"})).json()["queued"]


def test_arguments(tmp_path: Path) -> None:
    octets: list[bytes] = []
    options = _arguments(["--http-port", "0", "--modems", "2", "--directory", str(tmp_path)])
    made = [port_of(octets.append) for port_of in ports(options, ["a", "b"])]
    assert [type(port) for port in made] == [PtyPort, PtyPort]
    assert made[1].address == str(tmp_path / "b")
    options = _arguments(["--http-port", "0", "--tcp", "127.0.0.1:4000"])
    made = [port_of(octets.append) for port_of in ports(options, ["a", "b"])]
    assert [(type(port), port.address) for port in made] == [(TcpPort, "127.0.0.1:4000"), (TcpPort, "127.0.0.1:4001")]
    assert [one.number for one in identities(2, "8613900000009", "1234")] == ["8613900000009", "8613900000010"]


@pytest.mark.parametrize(
    "wrong",
    [["--modems", "0"], ["--modems", "65"], ["--first-number", "x"], ["--pin", "1"], ["--tcp", "x"], ["--faults", "[]"],
     ["--faults", '{"refuse": 2}']],
)  # fmt: skip
def test_arguments_that_make_no_sense(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--http-port", "0", *wrong]) == 2
    assert "sim.modem: " in capsys.readouterr().err
