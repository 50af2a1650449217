"""SMPP with implementations that are not ours: npm `smpp` in both roles, PyPI `smpplib` as client."""

from __future__ import annotations

import asyncio
import shutil
import threading
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import smpplib.client
import smpplib.consts
from carrier_client import connect, running_carrier
from line_peer import Peer, running

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


def npm(script: str, **environment: str) -> AbstractAsyncContextManager[Peer]:
    return running("node", str(HERE / script), NODE_PATH=str(MODULES), **environment)


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


@needs_npm_smpp
async def test_our_client_asks_cancels_replaces_and_sends_to_many(shown) -> None:
    async with npm("smpp_server.js", PEER_PASSWORD="secret") as peer:
        client = await connect((await peer.event("listening"))["port"])
        common = {"message_id": "1a2b", "source_addr_ton": 1, "source_addr_npi": 1, "source_addr": "95598"}
        asked: list[dict[str, object]] = [
            {"command": "query_sm", **common},
            {"command": "cancel_sm", **common, "destination_addr": "8613800138000"},
            {"command": "replace_sm", **common, "short_message": b"other".hex(), "registered_delivery": 1},
        ]
        for token, fields in enumerate(asked, 901):
            client.session.request(token, fields, _now())
            client.flush()
        await client.until(lambda: len(client.all(events.Replied)) == len(asked))
        query, cancel, replaced = [event.fields for event in client.all(events.Replied)]
        assert (query["message_id"], query["message_state"], query["error_code"]) == ("1a2b", 2, 7)
        assert (cancel["command_status"], replaced["command_status"]) == (0x11, 0)
        assert (await peer.event("query_sm"))["source"] == "95598"
        assert (await peer.event("cancel_sm"))["destination"] == "8613800138000"
        assert (await peer.event("replace_sm"))["text"] == "other"

        many = Submit("95598", "8613800138000", b"hello", 1, more_destinations=("8613800138001", "8613800138002"))
        client.send(many)
        assert (await peer.event("submit_multi"))["destinations"] == [f"861380013800{n}" for n in range(3)]
        await client.until(lambda: bool(client.all(events.Answered)))
        assert client.all(events.Answered)[0].message_id == "multi"

        peer.order(do="alert", **{"from": "8613800138000", "to": "95598"})
        await client.until(lambda: bool(client.all(events.NoticeReceived)))
        assert client.all(events.NoticeReceived)[0].fields["source_addr"] == "8613800138000"
        peer.order(do="data", **{"from": "8613800138000", "to": "95598", "text": "退订"})
        await client.until(lambda: bool(client.all(events.DeliverReceived)))
        mo = client.all(events.DeliverReceived)[0].mo
        assert smstext.decode(mo.content, smstext.coding_of(mo.data_coding)) == "退订"
        assert (await peer.event("data_answered"))["status"] == 0
        assert not client.all(events.PeerError)
        await client.close()
    subjects = ("query", "cancel, refused", "replace", "submit_multi", "alert_notification", "data_sm")
    shown("smpp34", "client", *subjects)


@needs_npm_smpp
async def test_the_npm_client_asks_cancels_replaces_and_sends_to_many(shown) -> None:
    async with (
        running_carrier() as carrier,
        npm("smpp_client.js", PEER_PORT=str(carrier.port), PEER_ACCOUNT="gx", PEER_PASSWORD="secret") as peer,
    ):
        await peer.event("bound")
        for command, status in (("query_sm", 0x67), ("cancel_sm", 0x11), ("replace_sm", 0x13)):
            peer.order(do=command, id="1a2b", source="95598")
            answer = await peer.event("answered")
            assert (answer["command"], answer["status"]) == (f"{command}_resp", status)
        peer.order(do="multi", source="95598", destinations=["8613800138000", "8613800138001"], text="hello")
        assert (await peer.event("answered"))["status"] == 0
        receipts = {(await peer.event("receipt"))["source"] for _ in range(2)}
        assert receipts == {"8613800138000", "8613800138001"}
        peer.order(do="data", source="95598", destination="8613800138002", text="您好")
        answer = await peer.event("answered")
        assert (answer["command"], answer["status"]) == ("data_sm_resp", 0)
        assert carrier.gateway.samples(1)[0].text == "您好"
        assert carrier.stats["peer_errors"] == 0
    subjects = ("query, refused", "cancel, refused", "replace, refused", "submit_multi", "data_sm")
    shown("smpp34", "server", *subjects)


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
