"""For tests: Kannel's bearerbox and smsbox, as Debian has them, on a line of the test's choice."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

BOXES = ("/usr/sbin/bearerbox", "/usr/sbin/smsbox")

CONFIGURATION = """\
group = core
admin-port = {admin}
admin-password = secret
smsbox-port = {boxes}
box-allow-ip = "127.0.0.1"
log-level = 0
dlr-storage = internal
sms-resend-freq = 1

{smsc}
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
async def running_boxes(smsc: str, directory: Path) -> AsyncIterator[Kannel]:
    """Both boxes, running, with this group of settings for their line."""
    admin, boxes, send = free_ports(3)
    ears = Ears()
    server = await asyncio.start_server(ears.take, "127.0.0.1", 0)
    ears_port = server.sockets[0].getsockname()[1]
    configuration = directory / "kannel.conf"
    configuration.write_text(CONFIGURATION.format(admin=admin, boxes=boxes, send=send, ears=ears_port, smsc=smsc))
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
