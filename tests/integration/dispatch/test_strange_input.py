"""What a phone or a carrier may send, however strange, is stored and answered; nothing of it ends a worker."""

from __future__ import annotations

import time

import pytest

from carrier.model import Mo, Report, ReportState
from carrier.timetext import compact
from contracts.events.dispatch import MessageReceived, SegmentsReported

PHONE = "8613800000000"
TWENTY_DIGITS = "99999999999999999999"


def mo(text: str = "hi", **more) -> Mo:
    settings = {"source": PHONE, "destination": "10655", "content": text.encode("utf-16-be"), "data_coding": 8}
    return Mo(**(settings | more))


STRANGE = {
    "a sender longer than any number": mo(source=TWENTY_DIGITS),
    "a sender without digits": mo(source="BANK"),
    "no destination": mo(destination=""),
    "a NUL in the text": mo("a\0b"),
    "half a surrogate": mo(content=b"\xd8\x00\x00a"),
    "a header that cannot be read": mo(content=b"\xff\x00\x03", udhi=True),
    "a header that says part 0 of 0": mo(content=b"\x05\x00\x03\x07\x00\x00hi", udhi=True),
    "a header that says part 9 of 2": mo(content=b"\x05\x00\x03\x07\x02\x09hi", udhi=True),
    "fields that say part 0 of 3": mo(part_reference=7, part_total=3, part_number=0),
    "fields that say part 9 of 2": mo(part_reference=7, part_total=2, part_number=9),
    "nothing at all": mo(content=b""),
}


@pytest.mark.parametrize("name", STRANGE)
async def test_a_strange_reply_ends_no_worker(name, carrier, worker_of, tools):
    async with worker_of([tools.link_of(carrier)]) as running:
        await tools.until(lambda: running.check() or carrier.bound)
        carrier.deliver(STRANGE[name])
        await tools.until(lambda: running.check() or carrier.receipts_answered == 1)
        carrier.deliver(mo("after it"))
        await tools.until(lambda: running.check() or "after it" in [e.text for e in running.bus.of(MessageReceived)])


def report(**more) -> Report:
    now = compact(time.time())
    settings = {
        "message_id": "4711",
        "state": ReportState.DELIVERED,
        "final": True,
        "stat": "DELIVRD",
        "error": "000",
        "recipient": PHONE,
        "sender": "10655",
        "submitted": now,
        "done": now,
    }
    return Report(**(settings | more))


RECEIPTS = {
    "a recipient longer than any number": report(recipient=TWENTY_DIGITS),
    "a recipient without digits": report(recipient="BANK"),
    "a NUL in the error": report(error="0\x000"),
    "no id": report(message_id=""),
    "times that are none": report(submitted="9999999999", done="banana"),
}


@pytest.mark.parametrize("name", RECEIPTS)
async def test_a_strange_receipt_ends_no_worker(name, carrier, worker_of, tools, dispatch_database):
    async with worker_of([tools.link_of(carrier)]) as running:
        await tools.until(lambda: running.check() or carrier.bound)
        carrier.deliver(RECEIPTS[name])
        await tools.until(lambda: running.check() or carrier.receipts_answered == 1)
        await dispatch_database.execute("update receipt_pending set next_at = 0")
        await tools.until(
            lambda: running.check() or dispatch_database.fetchval("select bool_and(tries > 0) from receipt_pending")
        )
        await running.release(tools.make_chunk(1))
        await tools.until(lambda: running.check() or running.bus.of(SegmentsReported))
