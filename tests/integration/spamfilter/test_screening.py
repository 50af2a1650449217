"""The stage on a real broker: exact cut-off over two workers and a kill, dead letters, lanes, replay."""

from __future__ import annotations

import random
import secrets
import time

import msgspec

from bus.deadletters import list_letters
from bus.producer import RawOutgoing
from contracts.events.spamfilter import Verdict
from contracts.lanes import Lane

SENDERS = 12
EACH = 70


def traffic(make_chunk, rng: random.Random) -> list:
    """Messages of some senders over four enterprises, in chunks of 1 to 7, over two lanes."""
    start = time.time_ns() // 1_000_000 - 60_000
    chunks = []
    for number in range(SENDERS):
        left = EACH
        while left:
            count = min(left, rng.randint(1, 7))
            left -= count
            chunks.append((f"86139{number:08d}", count, rng.choice([Lane.NOTICE, Lane.MARKETING]), f"e{number % 4}"))
    rng.shuffle(chunks)
    return [
        make_chunk(sender=s, count=c, registered=False, lane=lane, enterprise=e, at=start + n)
        for n, (s, c, lane, e) in enumerate(chunks)
    ]


def passed_by_sender(chunks, judged) -> dict[str, int]:
    totals: dict[str, int] = {}
    for chunk in chunks:
        blocked = sum(j.count for j in judged[chunk.chunk_id].judgements if j.verdict is Verdict.BLOCK)
        sender = chunk.entries[0].port
        totals[sender] = totals.get(sender, 0) + len(chunk.recipients) - blocked
    return totals


async def test_exactly_thirty_of_each_sender_pass_over_two_workers_one_of_which_is_killed(bench, make_chunk):
    chunks = traffic(make_chunk, random.Random(20261123))
    half = len(chunks) // 2
    first, _second = bench.start(), bench.start()
    await bench.accept(*chunks[:half])
    # Killed in the middle of it: some of the first half is judged, not all of it need be.
    await bench.until(lambda: _some(bench, half // 4), 60)
    first.kill()
    first.wait()
    await bench.accept(*chunks[half:])
    bench.start()
    judged = await bench.judged({chunk.chunk_id for chunk in chunks}, 90)
    assert passed_by_sender(chunks, judged) == {f"86139{n:08d}": 30 for n in range(SENDERS)}
    # What repeats after the kill repeats the same verdict.
    for envelope in await bench.said("judged"):
        assert envelope.data.judgements == judged[envelope.data.chunk_id].judgements
    counted = {(e.data.chunk_id, e.data.first) for e in await bench.said("counted")}
    assert counted == {(chunk.chunk_id, 0) for chunk in chunks}


async def _some(bench, number: int) -> bool:
    return len(await bench.said("judged")) >= number


async def test_a_restarted_worker_knows_what_was_counted_before(bench, make_chunk):
    sender = "8613911112222"
    before = [make_chunk(sender=sender, count=10, registered=False) for _ in range(3)]
    worker = bench.start()
    await bench.accept(*before)
    judged = await bench.judged({chunk.chunk_id for chunk in before})
    assert not any(verdict.judgements for verdict in judged.values())
    worker.kill()
    worker.wait()
    after = make_chunk(sender=sender, count=2, registered=False)
    bench.start()
    await bench.accept(after)
    (judgement,) = (await bench.judged({after.chunk_id}))[after.chunk_id].judgements
    assert (judgement.first, judgement.count, judgement.reason) == (0, 2, "sender_threshold")


async def test_poison_goes_to_the_dead_letters_and_its_neighbours_survive(bench, make_chunk, kafka_bootstrap):
    good = [make_chunk() for _ in range(4)]
    torn = msgspec.structs.replace(make_chunk(), carriers="MMM")
    topic = f"{bench.prefix}accepted.notice"
    poison = [
        b"\xff\xfe not json", b"{}", b"", b'{"type":"ChunkAccepted","version":1}', b'{"type":"Unheard","version":1}',
        b'{"id":"x","type":"ChunkAccepted","version":9,"key":"k","tenant":"t","occurred_at":1,"traceparent":"","data":{}}',
    ]  # fmt: skip
    bench.start()
    await bench.accept(*good[:2])
    await bench.producer.send_raw([RawOutgoing(topic, b"demo:e1", value) for value in poison])
    await bench.accept(torn, *good[2:])
    await bench.judged({chunk.chunk_id for chunk in good})

    async def buried() -> bool:
        letters = await list_letters(kafka_bootstrap, bench.prefix.rstrip("."), limit=1000)
        return len(letters) == len(poison) + 1

    await bench.until(buried)
    assert torn.chunk_id not in {e.data.chunk_id for e in await bench.said("judged")}


async def test_spam_is_blocked_and_a_false_code_travels_on_as_notice(bench, make_chunk):
    spam = make_chunk(text="代开发票，加微信abc12345")
    false_code = make_chunk(text="双十一全场五折，快来选购", lane=Lane.VERIFICATION)
    code = make_chunk(
        text=f"【关心】您的验证码是{secrets.randbelow(900000) + 100000}，请勿泄露", lane=Lane.VERIFICATION
    )
    bench.start()
    await bench.accept(spam, false_code, code)
    judged = await bench.judged({spam.chunk_id, false_code.chunk_id, code.chunk_id})
    assert judged[spam.chunk_id].judgements[0].verdict is Verdict.BLOCK
    assert judged[false_code.chunk_id].demoted == [0]
    notice = {e.data.chunk.chunk_id: e.data for e in await bench.said("screened", Lane.NOTICE)}
    assert notice.keys() == {false_code.chunk_id}
    assert (notice[false_code.chunk_id].part, notice[false_code.chunk_id].chunk.lane) == (1, Lane.NOTICE)
    codes = {e.data.chunk.chunk_id for e in await bench.said("screened", Lane.VERIFICATION)}
    assert codes == {code.chunk_id}


async def test_a_code_does_not_wait_for_the_bulk_before_it(bench, make_chunk):
    bulk = [make_chunk(count=500, lane=Lane.MARKETING) for _ in range(60)]
    await bench.accept(*bulk)
    bench.start()
    code = make_chunk(text="【关心】您的验证码是482913，请勿泄露", lane=Lane.VERIFICATION, enterprise="e9")
    await bench.accept(code)
    await bench.judged({code.chunk_id, *(chunk.chunk_id for chunk in bulk)})
    raws = [e for e in await bench.said("judged") if e.data.chunk_id == code.chunk_id]
    others = sorted(e.data.screened_at for e in await bench.said("judged", Lane.MARKETING))
    # Both were there before the worker was: the code is among the first, whatever partition it came by.
    assert raws[0].data.screened_at <= others[len(others) // 2]
