"""Messages from phones: stored once, joined, matched, opt-outs at once."""

from __future__ import annotations

from carrier.model import Mo
from contracts.events.dispatch import CloseCause, MessageReceived, MessagesClosed, OptedOut
from smstext import split

PHONE = "8613800000000"


def mo(text: str, *, source: str = PHONE, destination: str = "10655") -> Mo:
    return Mo(source=source, destination=destination, content=text.encode("utf-16-be"), data_coding=8)


async def test_a_reply_finds_the_message_it_answers(carrier, worker_of, tools, dispatch_database):
    async with worker_of([tools.link_of(carrier)]) as running:
        chunk = tools.make_chunk(3)
        await running.release(chunk)
        await tools.until(lambda: running.check() or len(carrier.submits) == 3)
        await tools.until(lambda: dispatch_database.fetchval("select count(*) from answer"))
        carrier.deliver(mo("您好，请问几点？", destination="1065501"))
        await tools.until(lambda: running.check() or running.bus.of(MessageReceived))
        (received,) = running.bus.of(MessageReceived)
        assert received.text == "您好，请问几点？"
        assert (received.chunk_id, received.index, received.enterprise) == (chunk.chunk_id, 0, "acme")
        assert received.sender == 8613800000000
        assert not received.action
        assert not running.bus.of(OptedOut)


async def test_a_long_reply_is_joined_whatever_the_order(carrier, worker_of, tools, dispatch_database):
    text = "这是一条很长的回复。" * 15
    parts = split(text, reference=77).payloads
    assert len(parts) == 3
    async with worker_of([tools.link_of(carrier)]) as running:
        await tools.until(lambda: running.check() or carrier.bound)
        for place in (2, 0, 0):
            carrier.deliver(Mo(source=PHONE, destination="10655", content=parts[place], data_coding=8, udhi=True))
        await tools.until(lambda: running.check() or carrier.receipts_answered == 3)
    # The last part comes to another worker: the state is in the table.
    async with worker_of([tools.link_of(carrier)], instance="dispatch-2") as running:
        await tools.until(lambda: running.check() or carrier.bound)
        carrier.deliver(Mo(source=PHONE, destination="10655", content=parts[1], data_coding=8, udhi=True))
        await tools.until(lambda: running.check() or running.bus.of(MessageReceived))
        assert [e.text for e in running.bus.of(MessageReceived)] == [text]
        assert await dispatch_database.fetchval("select count(*) from mo_raw where not done") == 0


async def test_an_opt_out_word_acts_at_once(carrier, worker_of, tools, dispatch_database):
    async with worker_of([tools.link_of(carrier)]) as running:
        await running.release(tools.make_chunk(1))
        await tools.until(lambda: running.check() or len(carrier.submits) == 1)
        await tools.until(lambda: dispatch_database.fetchval("select count(*) from answer"))
        carrier.deliver(mo(" td "))
        await tools.until(lambda: running.check() or running.bus.of(OptedOut))
        (out,) = running.bus.of(OptedOut)
        assert (out.number, out.enterprise, out.word) == (8613800000000, "acme", "TD")
        assert [e.action for e in running.bus.of(MessageReceived)] == ["opt_out"]
        await running.release(tools.make_chunk(1))
        await tools.until(lambda: running.check() or running.bus.of(MessagesClosed))
        assert [e.cause for e in running.bus.of(MessagesClosed)] == [CloseCause.OPTED_OUT]
        assert len(carrier.submits) == 1


async def test_the_word_a_text_announces_is_one(carrier, worker_of, tools, dispatch_database):
    async with worker_of([tools.link_of(carrier)]) as running:
        await running.release(tools.make_chunk(1, text="双11大促，回QX退订【商城】"))
        await tools.until(lambda: running.check() or len(carrier.submits) == 1)
        await tools.until(lambda: dispatch_database.fetchval("select count(*) from answer"))
        carrier.deliver(mo("qx"))
        await tools.until(lambda: running.check() or running.bus.of(OptedOut))


async def test_a_word_inside_a_sentence_is_none(carrier, worker_of, tools, dispatch_database):
    async with worker_of([tools.link_of(carrier)]) as running:
        await running.release(tools.make_chunk(1))
        await tools.until(lambda: dispatch_database.fetchval("select count(*) from answer"))
        carrier.deliver(mo("我不想退订"))
        await tools.until(lambda: running.check() or running.bus.of(MessageReceived))
        assert not running.bus.of(OptedOut)


async def test_an_opt_out_is_confirmed_once_where_the_setting_says_so(carrier, worker_of, tools, dispatch_database):
    text = "您已退订，不再接收此类短信。"
    async with worker_of([tools.link_of(carrier)], settings={"opt_out_confirmation": text}) as running:
        await running.release(tools.make_chunk(1))
        await tools.until(lambda: dispatch_database.fetchval("select count(*) from answer"))
        carrier.deliver(mo("T"))
        await tools.until(lambda: running.check() or len(carrier.submits) == 2)
        carrier.deliver(mo("T"))
        await tools.until(lambda: running.check() or len(running.bus.of(MessageReceived)) == 2)
        assert carrier.submits[1][1].content.decode("utf-16-be") == text
        assert carrier.submits[1][1].destination == PHONE
        assert len(carrier.submits) == 2
