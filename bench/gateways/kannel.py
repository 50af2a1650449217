"""Kannel, as Debian packages it: bearerbox and smsbox, `sendsms` over HTTP, or `mtbatch` straight into the bearerbox.

Set up by its user's guide: transceiver sessions (`instances`), `max-pending-submits` as agreed with the carrier, internal storage of
receipts in memory (the fastest it has), or `spool` for messages and receipts ("no SMS messages are lost in Kannel even by crash").
Logs at the level of warnings, no access log.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import psutil

from gateways import sink
from gateways.gateway import Case, Gateway, Offered, get, number_of, offer_each, running, text_of
from gateways.programs import Program, find, free_port, listens, until

PACKAGE = "kannel"
CORE = """
group = core
admin-port = {admin}
admin-password = bench
admin-allow-ip = "127.0.0.1"
smsbox-port = {boxes}
box-allow-ip = "127.0.0.1"
smsbox-max-pending = 512
log-level = 2
{storage}

group = smsc
smsc = smpp
smsc-id = sink
instances = {sessions}
host = 127.0.0.1
port = {carrier}
transceiver-mode = true
smsc-username = {account}
smsc-password = {secret}
system-type = ""
max-pending-submits = {window}
reconnect-delay = 1

group = smsbox
smsbox-id = box
bearerbox-host = 127.0.0.1
sendsms-port = {http}
log-level = 2

group = smsbox-route
smsbox-id = box
smsc-id = sink

group = sendsms-user
username = bench
password = bench
max-messages = 10
concatenation = true

group = sms-service
keyword = default
text = ""
max-messages = 0
"""


class Kannel(Gateway):
    """Bearerbox and smsbox with a carrier of their own."""

    def __init__(self, case: Case, folder: Path, *, spooled: bool = False) -> None:
        super().__init__(case, folder)
        self._http, self._boxes, self._admin = free_port(), free_port(), free_port()
        self._sink = sink.Carrier(folder, receipts=case.receipts)
        self._callbacks = ""
        file = folder / "kannel.conf"
        file.write_text(
            CORE.format(
                admin=self._admin,
                boxes=self._boxes,
                http=self._http,
                carrier=self._sink.port,
                sessions=sink.SESSIONS,
                window=sink.WINDOW,
                account=sink.ACCOUNT,
                secret=sink.SECRET,
                storage=_storage(folder, spooled=spooled),
            ),
            encoding="utf-8",
        )
        self._bearerbox = Program("bearerbox", [find("bearerbox", PACKAGE, "/usr/sbin"), "-v", "2", str(file)], folder)
        self._smsbox = Program("smsbox", [find("smsbox", PACKAGE, "/usr/sbin"), "-v", "2", str(file)], folder)

    @property
    def carrier(self) -> str:
        return self._sink.url

    def start(self, callbacks: str) -> None:
        self._callbacks = callbacks
        self._sink.start()
        self._up()

    def _up(self) -> None:
        self._bearerbox.start(lambda: listens(self._boxes))
        self._smsbox.start(lambda: listens(self._http))
        until(lambda: self._sink.bound() == sink.SESSIONS, "sessions of bearerbox")

    async def offer(self, first: int, count: int) -> Offered:
        return await offer_each(self._http, self._request, first, count, _accepted)

    def _request(self, place: int) -> bytes:
        number = number_of(place)
        fields = {
            "username": "bench", "password": "bench", "from": "95598", "to": number,
            "text": text_of(place), "coding": "2", "charset": "UTF-8",
        }  # fmt: skip
        if self.case.receipts:
            # 3: delivered to the phone, or not deliverable.
            fields |= {"dlr-mask": "3", "dlr-url": f"{self._callbacks}/dlr?to={number}&d=%d"}
        return get("/cgi-bin/sendsms", fields)

    def processes(self) -> dict[str, list[psutil.Process]]:
        return running([self._bearerbox, self._smsbox, self._sink.program])

    async def kill(self) -> None:
        self._bearerbox.kill()
        self._smsbox.kill()
        await asyncio.to_thread(self._up)

    def stop(self) -> None:
        for program in (self._smsbox, self._bearerbox, self._sink.program):
            program.stop()


class KannelBulk(Kannel):
    """The same, fed by `mtbatch`: one text to a file of numbers, without HTTP."""

    async def offer(self, first: int, count: int) -> Offered:
        content, numbers = self.folder / "content.txt", self.folder / "numbers.txt"
        content.write_text("Your bill of this month is 86.40, please pay in time.", encoding="ascii")
        numbers.write_text("".join(f"{number_of(place)}\n" for place in range(first, first + count)), encoding="ascii")
        command = [
            # -x: receipts are not for mtbatch, which is gone by then; the route of the carrier's messages gives them to smsbox.
            find("mtbatch", PACKAGE), "-v", "3", "-b", "127.0.0.1", "-p", str(self._boxes), "-x", "-f", "95598",
            *(["-D", "3", "-u", f"{self._callbacks}/dlr?to=%p&d=%d"] if self.case.receipts else []),
            str(content), str(numbers),
        ]  # fmt: skip
        begun = time.monotonic()
        with (self.folder / "mtbatch.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
            await process.wait()
        ended = time.monotonic()
        return Offered(begun, ended, [ended - begun])


def _storage(folder: Path, *, spooled: bool) -> str:
    if not spooled:
        return "dlr-storage = internal"
    messages, receipts = folder / "spool", folder / "dlr"
    for made in (messages, receipts):
        made.mkdir()
    return f'store-type = spool\nstore-location = "{messages}"\ndlr-storage = spool\ndlr-spool = "{receipts}"'


def _accepted(status: int, body: bytes) -> bool:
    # 202 "0: Accepted for delivery"; "3: Queued for later delivery" is a promise as well.
    return status == 202 and body[:1] in {b"0", b"3"}
