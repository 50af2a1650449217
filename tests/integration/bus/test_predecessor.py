"""A killed process's place in its group is given up by the next one, and not only when its session times out."""

from __future__ import annotations

from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from bus.predecessor import Predecessor
from bus.replay import connect


async def _members(bootstrap: str, group: str) -> str:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return str(await admin.describe_consumer_groups([group]))
    finally:
        await admin.close()


async def test_the_next_process_takes_the_killed_one_out_of_the_group(
    bench, make_event, wait_until, inserting, tmp_path: Path
):
    topic = bench.topic()
    await bench.topics(topic)
    bench.start(bench.consumer(inserting(), [topic], state_dir=tmp_path))
    await bench.producer.send_batch([make_event(topic, 1)])
    await wait_until(bench.effects)
    note = tmp_path / f"member-test-{bench.group}"
    old = note.read_text(encoding="utf-8")
    assert old in await _members(bench.bootstrap, bench.group)

    # Here the forerunner still lives, which shows that it is not its session's time-out that takes it out.
    kafka = await connect(bench.bootstrap, group_id=bench.group)
    try:
        await Predecessor(tmp_path, bench.group, "test").leave(kafka)
    finally:
        await kafka.stop()
    assert old not in await _members(bench.bootstrap, bench.group)

    await bench.producer.send_batch([make_event(topic, 2)])

    async def both() -> bool:
        return await bench.effects() == 2

    await wait_until(both)

    def joined_anew() -> bool:
        return note.exists() and note.read_text(encoding="utf-8") not in ("", old)

    await wait_until(joined_anew)
    await bench.stop_all()
    assert not note.exists(), "left in order: there is nobody to take out"


async def test_a_note_nobody_knows_does_nothing(bench, make_event, wait_until, inserting, tmp_path: Path):
    topic = bench.topic()
    await bench.topics(topic)
    for octets in (b"nobody-of-this-name", b"\xff\x00", b"x" * 10_000):
        (tmp_path / f"member-test-{bench.group}").write_bytes(octets)
        kafka = await connect(bench.bootstrap, group_id=bench.group)
        try:
            await Predecessor(tmp_path, bench.group, "test").leave(kafka)
        finally:
            await kafka.stop()
    bench.start(bench.consumer(inserting(), [topic], state_dir=tmp_path))
    await bench.producer.send_batch([make_event(topic, 1)])
    await wait_until(bench.effects)
