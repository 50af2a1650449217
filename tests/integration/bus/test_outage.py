"""A broker that falls silent, and one that dies and comes back: delay, never loss.  On a broker of this test's own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.replay import read_topic
from contracts.envelope import decode
from guanxin.stack import paths, ports, process
from guanxin.stack.engines import jars, kafka


class Broker:
    """One Kafka process that can be stopped, continued, killed and started again on the same port and data."""

    def __init__(self, directory: Path) -> None:
        taken: set[int] = set()
        found = jars.obtain(paths.JGO_LOCK, paths.engines_dir())
        self.node = kafka.KafkaNode(found, directory, ports.choose([], taken), ports.choose([], taken))
        self.log = directory.parent / "broker.log"
        self.node.prepare()
        self.child: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        with self.log.open("ab") as stream:
            self.child = subprocess.Popen(
                self.node.command(),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env=self.node.environment(),
                start_new_session=True,
                preexec_fn=process.tied_to_parent(signal.SIGKILL),  # noqa: PLW1509 - it only calls prctl and getppid
            )

    def send(self, number: int) -> None:
        os.kill(self.child.pid, number)

    def kill(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child.wait()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path / "kafka")
    try:
        yield made
    finally:
        made.kill()


async def ready(broker: Broker) -> None:
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(kafka.is_ready, broker.node.port):  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.05)


@pytest.mark.timeout(180)
async def test_a_silent_and_a_killed_broker_delay_but_lose_nothing(
    broker, postgres_url, topic_prefix, bench_factory, make_event, wait_until, inserting
):
    broker.launch()
    await ready(broker)
    async with bench_factory(broker.node.bootstrap_servers, postgres_url, topic_prefix) as bench:
        topic, out = bench.topic(), bench.topic("internal")
        await bench.topics(topic, out)
        consumer = bench.consumer(inserting(out), [topic], offsets="after_publish")
        bench.start(consumer)
        await bench.producer.send_batch([make_event(topic, n) for n in range(100)])

        async def done(count):
            return await bench.effects() == count

        await wait_until(lambda: done(100))

        broker.send(signal.SIGSTOP)
        sending = asyncio.create_task(bench.producer.send_batch([make_event(topic, n) for n in range(100, 200)]))
        finished, _ = await asyncio.wait([sending], timeout=3)
        assert not finished, "nothing was acknowledged, so nothing may be reported as sent"
        broker.send(signal.SIGCONT)
        await asyncio.wait_for(sending, 40)
        await wait_until(lambda: done(200), 60)

        broker.kill()
        sending = asyncio.create_task(bench.producer.send_batch([make_event(topic, n) for n in range(200, 300)]))
        await wait_until(bench.producer.probe, 30)
        assert not sending.done()
        broker.launch()
        await asyncio.wait_for(sending, 60)
        await wait_until(lambda: done(300), 60)
        assert not any(task.done() for _, task in bench.running)
        wanted = {make_event(topic, n)[1].id for n in range(300)}

        async def published():
            return {decode(r.value).id async for r in read_topic(bench.bootstrap, out)} == wanted

        await wait_until(published, 30)
