"""SMPP with implementations that are not ours: npm `smpp` in both roles, PyPI `smpplib` as client."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import smpplib.client
import smpplib.consts
from carrier_client import connect, running_carrier

import smstext
from carrier import events
from carrier.model import ReportState, Submit

HERE = Path(__file__).parent
ROOT = HERE.parents[2]

MODULES = ROOT / ".local" / "npm" / "node_modules"
"""Where set-up puts the packages that only tests need."""

needs_npm_smpp = pytest.mark.skipif(
    shutil.which("node") is None or not (MODULES / "smpp").is_dir(),
    reason="Node or the npm package smpp is not installed (make test installs it)",
)


class Peer:
    """A foreign program that speaks JSON lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.seen: list[dict[str, Any]] = []

    async def event(self, name: str) -> dict[str, Any]:
        """Return the next event of that name, keeping the others in `seen`."""
        assert self._process.stdout is not None
        async with asyncio.timeout(20):
            while line := await self._process.stdout.readline():
                event: dict[str, Any] = json.loads(line)
                self.seen.append(event)
                if event["event"] == name:
                    return event
        raise AssertionError(f"the peer ended before {name}: {self.seen}")

    def order(self, **order: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")


@asynccontextmanager
async def npm(script: str, **environment: str) -> AsyncIterator[Peer]:
    pipe = asyncio.subprocess.PIPE
    environment = {**os.environ, "NODE_PATH": str(MODULES), **environment}
    process = await asyncio.create_subprocess_exec(
        "node", str(HERE / script), stdin=pipe, stdout=pipe, cwd=ROOT, env=environment
    )
    try:
        yield Peer(process)
    finally:
        process.kill()
        await process.wait()


@needs_npm_smpp
async def test_our_client_with_the_npm_server(shown) -> None:
    async with npm("smpp_server.js", PEER_PASSWORD="secret") as peer:
        port = (await peer.event("listening"))["port"]
        client = await connect(port)
        assert (await peer.event("bound"))["command"] == "bind_transceiver"

        text = "尊敬的客户，您本月电费已出账。" * 6
        parts = smstext.split(text, reference=7)
        batch = [
            (
                number,
                Submit(
                    source="95598",
                    destination="8613800138000",
                    content=payload,
                    data_coding=8,
                    udhi=True,
                ),
            )
            for number, payload in enumerate(parts.payloads, 1)
        ]
        client.session.submit(batch, _now())
        client.flush()
        got = [await peer.event("submit") for _ in parts.payloads]
        assert "".join(event["text"] for event in got) == text
        assert {event["data_coding"] for event in got} == {8}
        assert [event["udh"] for event in got] == [
            [f"000307{parts.total:02x}{n:02x}"] for n in range(1, parts.total + 1)
        ]
        await client.until(lambda: len(client.all(events.ReportReceived)) == parts.total)
        answers = {answer.message_id for answer in client.all(events.Answered)}
        reports = [event.report for event in client.all(events.ReportReceived)]
        assert {report.message_id for report in reports} == answers == {event["id"] for event in got}
        assert {report.state for report in reports} == {ReportState.DELIVERED}
        assert {(await peer.event("receipt_answered"))["status"] for _ in reports} == {0}

        peer.order(do="reply", **{"from": "8613800138000", "to": "95598", "text": "退订"})
        await client.until(lambda: bool(client.all(events.DeliverReceived)))
        mo = client.all(events.DeliverReceived)[0].mo
        assert smstext.decode(mo.content, smstext.coding_of(mo.data_coding)) == "退订"
        assert (await peer.event("reply_answered"))["status"] == 0

        peer.order(do="enquire")
        assert (await peer.event("alive"))["status"] == 0
        client.session.unbind(_now())
        client.flush()
        await peer.event("unbound")
        await client.until(lambda: bool(client.all(events.Closed)))
        assert client.all(events.Closed)[0].unanswered == ()
    shown("smpp34", "client", "bind", "submit, long, ucs2", "report", "deliver, ucs2", "keep-alive", "unbind")


@needs_npm_smpp
async def test_our_client_is_refused_by_the_npm_server(shown) -> None:
    async with npm("smpp_server.js", PEER_PASSWORD="other") as peer:
        client = await connect((await peer.event("listening"))["port"])
        assert client.all(events.BindRefused)
    shown("smpp34", "client", "bind, wrong secret")


@needs_npm_smpp
async def test_our_client_sees_the_npm_server_cut_the_line(shown) -> None:
    async with npm("smpp_server.js", PEER_PASSWORD="secret") as peer:
        client = await connect((await peer.event("listening"))["port"])
        peer.order(do="cut")
        await client.until(lambda: bool(client.all(events.Closed)))
    shown("smpp34", "client", "connection cut")


@needs_npm_smpp
async def test_the_npm_client_with_our_server(shown) -> None:
    async with (
        running_carrier() as carrier,
        npm("smpp_client.js", PEER_PORT=str(carrier.port), PEER_ACCOUNT="gx", PEER_PASSWORD="secret") as peer,
    ):
        assert (await peer.event("bound"))["status"] == 0
        peer.order(do="submit", source="95598", destination="8613800138000", text="您的验证码是4821")
        submitted = await peer.event("submitted")
        assert submitted["status"] == 0
        receipt = await peer.event("receipt")
        assert f"id:{submitted['id']} " in receipt["text"]
        assert "stat:DELIVRD" in receipt["text"]
        assert receipt["source"] == "8613800138000"
        carrier.gateway.say("gx", "8613800138000", "95598", "满意")
        assert (await peer.event("mo"))["text"] == "满意"
        peer.order(do="enquire")
        assert (await peer.event("alive"))["status"] == 0
        assert carrier.gateway.samples(1)[0].text == "您的验证码是4821"
        peer.order(do="unbind")
        assert (await peer.event("unbound"))["status"] == 0
        assert carrier.stats["receipts_answered"] == 1
    shown("smpp34", "server", "bind", "submit, ucs2", "report", "deliver, ucs2", "keep-alive", "unbind")


def _smpplib_dialogue(port: int, seen: dict[str, Any]) -> None:
    client = smpplib.client.Client("127.0.0.1", port, allow_unknown_opt_params=True)
    client.set_message_sent_handler(lambda pdu: seen.setdefault("ids", []).append(pdu.message_id.decode()))

    def received(pdu: Any) -> int:
        seen.setdefault("receipts", []).append(pdu.short_message.decode())
        return int(smpplib.consts.SMPP_ESME_ROK)

    client.set_message_received_handler(received)
    client.connect()
    client.bind_transceiver(system_id="gx", password="secret")
    client.send_message(
        source_addr_ton=smpplib.consts.SMPP_TON_INTL,
        source_addr="95598",
        dest_addr_ton=smpplib.consts.SMPP_TON_INTL,
        destination_addr="8613800138000",
        short_message="您好".encode("utf-16-be"),
        data_coding=smpplib.consts.SMPP_ENCODING_ISO10646,
        registered_delivery=1,
    )
    while "receipts" not in seen or "ids" not in seen:
        client.read_once()
    client.unbind()
    client.disconnect()


async def test_smpplib_with_our_server(shown) -> None:
    seen: dict[str, Any] = {}
    async with running_carrier() as carrier:
        thread = threading.Thread(target=_smpplib_dialogue, args=(carrier.port, seen), daemon=True)
        thread.start()
        await asyncio.wait_for(asyncio.to_thread(thread.join, 20), 25)
        assert not thread.is_alive()
        assert f"id:{seen['ids'][0]} " in seen["receipts"][0]
        assert carrier.gateway.samples(1)[0].text == "您好"
        assert {carrier.stats["accepted"], carrier.stats["receipts_answered"]} == {1}
    shown("smpp34", "server", "bind", "submit, ucs2", "report", "unbind", peer="PyPI smpplib 2.2.4")


def _now() -> float:
    return asyncio.get_running_loop().time()
