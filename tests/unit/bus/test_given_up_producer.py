"""A producer that was given up while somebody hands records over to it: that one must not wait for it."""

from __future__ import annotations

import asyncio

from bus import producer
from bus.producer import RawOutgoing

RECORDS = [RawOutgoing("ingest.accepted.notice", b"k", b"1"), RawOutgoing("ingest.accepted.notice", b"k", b"2")]


class Waiting:
    """Takes the first record and waits for metadata with the second, as a closed client does: for ever."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.waits = asyncio.Event()

    async def send(self, topic, value, key, *, headers):
        if self.taken:
            self.waits.set()
            await asyncio.Event().wait()
        self.taken.append(value)
        return asyncio.get_running_loop().create_future()


async def test_what_was_not_handed_over_comes_back_when_the_producer_is_given_up():
    inner, retired = Waiting(), asyncio.get_running_loop().create_future()
    attempt = asyncio.create_task(producer._attempt(inner, RECORDS, None, retired))
    await inner.waits.wait()
    retired.set_result(None)
    pending, error = await asyncio.wait_for(attempt, 10)
    assert sorted(record.value for record in pending) == [b"1", b"2"]
    assert isinstance(error, TimeoutError)


async def test_a_producer_that_answers_nothing_is_left_after_a_while(monkeypatch):
    monkeypatch.setattr(producer, "STALLED_S", 0.05)
    inner = Waiting()
    pending, error = await asyncio.wait_for(
        producer._attempt(inner, RECORDS, None, asyncio.get_running_loop().create_future()), 10
    )
    assert sorted(record.value for record in pending) == [b"1", b"2"]
    assert isinstance(error, TimeoutError)
