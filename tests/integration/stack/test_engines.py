"""The engines are the real ones, as the rest of the platform relies on them."""

import os
import secrets
import signal
import subprocess
import sys
import time

import aiokafka
import asyncpg
import psutil
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import UnknownTopicOrPartitionError

from guanxin.stack import ports
from guanxin.stack.engines import kafka, postgres


async def test_a_record_survives_the_way_through_kafka(kafka_bootstrap, topic_prefix):
    topic = f"{topic_prefix}echo"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
        async with aiokafka.AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, enable_idempotence=True) as producer:
            await producer.send_and_wait(topic, "关心".encode())
        async with aiokafka.AIOKafkaConsumer(
            topic, bootstrap_servers=kafka_bootstrap, auto_offset_reset="earliest"
        ) as consumer:
            record = await consumer.getone()
        assert record.value.decode() == "关心"
    finally:
        await admin.delete_topics([topic])
        await admin.close()


async def test_a_misspelt_topic_is_not_created_by_asking(kafka_bootstrap, topic_prefix):
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    try:
        described = await admin.describe_topics([f"{topic_prefix}misspelt"])
        assert described[0]["error_code"] == UnknownTopicOrPartitionError.errno
        assert f"{topic_prefix}misspelt" not in await admin.list_topics()
    finally:
        await admin.close()


async def test_the_database_is_fresh_durable_by_default_and_utf8(postgres_url):
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval("select count(*) from pg_tables where schemaname = 'public'") == 0
        assert await connection.fetchval("show synchronous_commit") == "on"
        assert await connection.fetchval("show server_encoding") == "UTF8"
        assert int(await connection.fetchval("show max_connections")) >= 300
    finally:
        await connection.close()


def _await(condition, what, timeout_s=20.0):
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return value


@pytest.fixture
def cluster(open_path):
    node = postgres.PostgresNode(
        open_path / "pg", ports.any_free(), secrets.token_hex(8), durable=False, settings={"shared_buffers": "16MB"}
    )
    running = []

    def start():
        node.prepare()
        log = (open_path / "log").open("ab")
        child = subprocess.Popen(node.command(), env=node.environment(), stdout=log, stderr=log, start_new_session=True)
        log.close()
        running.append(child)
        _await(lambda: postgres.is_ready(node.port) or child.poll() is not None, "postgres never became ready")
        assert child.poll() is None, (open_path / "log").read_text()
        return child

    yield node, start
    for child in running:
        child.kill()
        child.wait()
    postgres.reap(node.data_dir)


async def test_a_killed_postmaster_is_reaped_and_its_data_is_there(cluster):
    node, start = cluster
    first = start()
    connection = await asyncpg.connect(node.url("postgres"))
    await connection.execute("create table kept (n int); insert into kept values (42)")
    first.send_signal(signal.SIGKILL)  # its children still hold the shared memory, postmaster.pid still names it
    first.wait()
    assert (node.data_dir / "postmaster.pid").exists()

    start()

    again = await asyncpg.connect(node.url("postgres"))
    assert await again.fetchval("select n from kept") == 42
    await again.close()
    connection.terminate()


async def test_a_postmaster_somebody_left_running_is_ended_before_the_next(cluster):
    _node, start = cluster
    first = start()

    second = start()  # prepare() must end the first, else this one refuses

    assert first.wait(10) is not None
    assert second.poll() is None


def test_a_stale_lock_naming_a_living_stranger_does_not_stop_the_start(cluster):
    node, start = cluster
    node.prepare()
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        (node.data_dir / "postmaster.pid").write_text(f"{stranger.pid}\n{node.data_dir}\n0\n{node.port}\n\n127.0.0.1\n")
        start()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
        stranger.stdin.close()


def test_readiness_says_no_where_nobody_listens_and_where_a_stranger_does():
    assert not kafka.is_ready(ports.any_free(), timeout_s=0.2)
    assert not postgres.is_ready(ports.any_free(), timeout_s=0.2)
    code = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)\n"
        "while True: s.accept()[0].close()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as stranger:
        port = int(stranger.stdout.readline())
        assert not kafka.is_ready(port)
        assert not postgres.is_ready(port)
        stranger.kill()


@pytest.mark.timeout(60)
def test_nothing_survives_a_killed_test_bed(tmp_path):
    environment_file = tmp_path / "env"
    code = f"import os, pathlib, sys; pathlib.Path({str(environment_file)!r}).write_text('up'); sys.stdin.read()"

    environment = {name: value for name, value in os.environ.items() if not name.startswith("GUANXIN_TEST_")}
    bed = subprocess.Popen(
        [sys.executable, "-m", "guanxin.stack.testbed", "--", sys.executable, "-c", code],
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
    )
    _await(environment_file.exists, "the test bed never ran its command", 60)
    engines = [child for child in psutil.Process(bed.pid).children() if child.name() in {"java", "postgres"}]
    assert len(engines) == 2

    bed.send_signal(signal.SIGKILL)
    bed.wait()
    bed.stdin.close()

    _gone, alive = psutil.wait_procs(engines, timeout=15)
    assert not alive
