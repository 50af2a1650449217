"""Kannel's bearerbox and smsbox, as Debian has them, as an SMPP client of our simulated carrier."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from carrier_client import Carrier, running_carrier

BOXES = ("/usr/sbin/bearerbox", "/usr/sbin/smsbox")
pytestmark = [
    pytest.mark.skipif(not all(map(shutil.which, BOXES)), reason="Debian's kannel is not installed"),
    pytest.mark.timeout(90),
]

CONFIGURATION = """\
group = core
admin-port = {admin}
admin-password = secret
smsbox-port = {boxes}
box-allow-ip = "127.0.0.1"
log-level = 0
dlr-storage = internal
sms-resend-freq = 1

group = smsc
smsc = smpp
smsc-id = ours
host = 127.0.0.1
port = {port}
transceiver-mode = true
smsc-username = gx
smsc-password = {password}
system-type = ""
interface-version = 34
source-addr-ton = 1
source-addr-npi = 1
dest-addr-ton = 1
dest-addr-npi = 1
max-pending-submits = 4
enquire-link-interval = 1
reconnect-delay = 1

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {boxes}
sendsms-port = {send}
global-sender = 10690001
sendsms-chars = "0123456789+"
log-level = 0

group = sendsms-user
username = tester
password = tester
max-messages = 10
concatenation = true

group = sms-service
keyword = default
max-messages = 0
get-url = "http://127.0.0.1:{ears}/mo?from=%p&to=%P&coding=%c&text=%a"
"""


class Ears:
    """A web server that hears Kannel's receipts and replies."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[tuple[str, dict[str, str]]] = asyncio.Queue()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0].decode().split(" ")[1]
        parts = urlsplit(request)
        self.heard.put_nowait((parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()}))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async def next(self, path: str) -> dict[str, str]:
        """Return the next request to that path."""
        async with asyncio.timeout(20):
            while True:
                heard, values = await self.heard.get()
                if heard == path:
                    return values


class Kannel:
    """Running boxes: give them messages, hear what comes of them."""

    def __init__(self, send: int, ears: Ears, ears_port: int, http: httpx.AsyncClient) -> None:
        self._send, self.ears, self._ears_port, self._http = send, ears, ears_port, http

    async def send(self, text: str, *, coding: int) -> None:
        """Order one message with receipts asked for; waits until the boxes take it."""
        receipt = f"http://127.0.0.1:{self._ears_port}/receipt?state=%d&id=%F"
        query = {
            "username": "tester",
            "password": "tester",
            "from": "10690001",
            "to": "8613800138000",
            "text": text,
            "coding": str(coding),
            "charset": "UTF-8",
            "dlr-mask": "3",
            "dlr-url": receipt,
        }
        answer = await self._http.get(f"http://127.0.0.1:{self._send}/cgi-bin/sendsms?{urlencode(query)}")
        assert answer.status_code == 202, answer.text


def free_ports(count: int) -> list[int]:
    """Return ports nobody listens on just now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


async def until_listening(port: int) -> None:
    """Wait for somebody to listen."""
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            await writer.wait_closed()
            return


@asynccontextmanager
async def kannel(carrier: Carrier, directory: Path, password: str = "secret") -> AsyncIterator[Kannel]:
    """Both boxes, running."""
    admin, boxes, send = free_ports(3)
    ears = Ears()
    server = await asyncio.start_server(ears.take, "127.0.0.1", 0)
    ears_port = server.sockets[0].getsockname()[1]
    configuration = directory / "kannel.conf"
    configuration.write_text(
        CONFIGURATION.format(admin=admin, boxes=boxes, send=send, port=carrier.port, ears=ears_port, password=password)
    )
    running: list[asyncio.subprocess.Process] = []
    with (directory / "kannel.log").open("w") as log:
        try:
            for box, port in zip(BOXES, (boxes, send), strict=True):
                running.append(
                    await asyncio.create_subprocess_exec(box, str(configuration), stdout=log, stderr=log, cwd=directory)
                )
                await until_listening(port)
            async with httpx.AsyncClient(timeout=20) as http:
                yield Kannel(send, ears, ears_port, http)
        finally:
            for process in reversed(running):
                if process.returncode is None:
                    process.kill()
                await process.wait()
            server.close()


async def until(carrier: Carrier, counter: str, value: int) -> None:
    """Wait for one of the carrier's counters."""
    async with asyncio.timeout(20):
        while carrier.stats[counter] < value:  # noqa: ASYNC110 - another process moves it
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("text", "coding", "named"),
    [
        ("Your code is 482100", 0, "gsm7"),
        ("您的验证码是4821", 2, "ucs2"),
        ("尊敬的客户，您本月电费已出账。" * 8, 2, "long, ucs2"),
    ],
)
async def test_messages_and_their_receipts(tmp_path: Path, text: str, coding: int, named: str, shown) -> None:
    async with running_carrier() as carrier, kannel(carrier, tmp_path) as boxes:
        await until(carrier, "binds_accepted", 1)
        await boxes.send(text, coding=coding)
        await until(carrier, "distinct", 1)
        assert carrier.gateway.samples(1)[0].text == text
        assert (await boxes.ears.next("/receipt"))["state"] == "1"  # 1: delivered to the phone
        # Of a long message Kannel asks for one segment's receipt only, so there may be fewer than segments.
        await until(carrier, "receipts_answered", carrier.stats["receipts_sent"])
        assert carrier.stats["peer_errors"] == 0
    shown("smpp34", "server", f"submit, {named}", "report", "bind")


async def test_a_reply_reaches_its_service(tmp_path: Path, shown) -> None:
    async with running_carrier() as carrier, kannel(carrier, tmp_path) as boxes:
        await until(carrier, "binds_accepted", 1)
        carrier.gateway.say("gx", "8613800138000", "10690001", "T")
        heard = await boxes.ears.next("/mo")
        assert (heard["from"].lstrip("+"), heard["to"].lstrip("+"), heard["text"]) == ("8613800138000", "10690001", "T")
        await until(carrier, "mo_answered", 1)
    shown("smpp34", "server", "deliver, gsm7")


async def test_throttled_it_sends_again(tmp_path: Path, shown) -> None:
    async with running_carrier(throttle=1) as carrier, kannel(carrier, tmp_path) as boxes:
        await until(carrier, "binds_accepted", 1)
        await boxes.send("slowly", coding=0)
        await until(carrier, "throttled", 1)
        carrier.faults()
        await until(carrier, "accepted", 1)
        assert carrier.stats["distinct"] == 1
    shown("smpp34", "server", "submit, throttled")


async def test_with_a_wrong_secret_it_stays_out(tmp_path: Path, shown) -> None:
    async with running_carrier() as carrier, kannel(carrier, tmp_path, password="wrong"):
        await until(carrier, "binds_refused", 1)
        assert carrier.stats["sessions"] == 0
    shown("smpp34", "server", "bind, wrong secret")


async def test_after_a_cut_it_comes_again(tmp_path: Path, shown) -> None:
    async with running_carrier() as carrier, kannel(carrier, tmp_path) as boxes:
        await until(carrier, "binds_accepted", 1)
        for connection in list(carrier.gateway.bound["gx"]):
            connection.cut()
        await until(carrier, "binds_accepted", 2)
        await boxes.send("still here", coding=0)
        await until(carrier, "accepted", 1)
    shown("smpp34", "server", "connection cut")
