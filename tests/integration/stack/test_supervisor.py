"""The local stack as its users and their programs see it, with the real engines and no services."""

import json
import os
import signal
import socket
import subprocess

import asyncpg
import psutil
import pytest
from stackrun import ENGINES_ONLY, await_until

from guanxin.stack import process
from guanxin.stack.engines import kafka
from guanxin.stack.table import USUAL_KAFKA

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240), pytest.mark.xdist_group("supervisor")]

WITH_SIMULATOR = ENGINES_ONLY.replace("simulators = []", 'simulators = ["smpp"]')


@pytest.fixture
def local_stack(stack_factory):
    return stack_factory()


def test_up_says_where_everything_is_and_down_leaves_nothing(local_stack):
    document = local_stack.up(WITH_SIMULATOR)

    assert document["state"] == "up"
    assert set(document) >= {"state", "api", "console", "kafka", "database", "components"}
    assert document["api"]["url"].startswith("http://127.0.0.1:")
    assert document["api"]["key"]
    assert {login["role"] for login in document["console"]["logins"]} >= {"reviewer", "admin"}
    by_name = {item["name"]: item for item in document["components"]}
    assert {name: item["kind"] for name, item in by_name.items()} == {
        "kafka": "broker",
        "postgres": "database",
        "sim-smpp": "simulator",
    }
    for item in by_name.values():
        assert item["health"] == "healthy"
        assert item["restarts"] == 0
        assert item["rss_bytes"] > 1_000_000
        assert item["since"].endswith("+08:00")
    assert psutil.Process(by_name["kafka"]["pid"]).name() == "java"
    assert psutil.Process(by_name["postgres"]["pid"]).name() == "postgres"
    assert kafka.is_ready(by_name["kafka"]["ports"]["kafka"])

    local_stack.down()

    assert local_stack.status() == {"state": "down", "components": []}
    assert process.leftovers(local_stack.local) == []


async def test_data_and_ports_are_kept_from_one_run_to_the_next_and_reset_deletes(local_stack):
    first = local_stack.up(ENGINES_ONLY)
    connection = await asyncpg.connect(first["database"]["url"])
    await connection.execute("create table kept (n int); insert into kept values (7)")
    await connection.close()
    local_stack.down()

    second = local_stack.up(ENGINES_ONLY)

    assert second["kafka"] == first["kafka"]
    assert second["database"] == first["database"]
    connection = await asyncpg.connect(second["database"]["url"])
    assert await connection.fetchval("select n from kept") == 7
    await connection.close()
    local_stack.cli("stack", "reset")
    assert not (local_stack.local / "data").exists()
    assert not (local_stack.local / "secrets.json").exists()
    assert process.leftovers(local_stack.local) == []


def test_a_killed_component_comes_back_and_is_counted(local_stack):
    local_stack.up(ENGINES_ONLY)
    for name in ("postgres", "kafka"):
        before = local_stack.component(name)
        os.kill(before["pid"], signal.SIGKILL)

        after = await_until(
            lambda name=name: (
                (item := local_stack.component(name))["restarts"] == 1 and item["health"] == "healthy" and item
            ),
            f"{name} did not come back",
        )
        assert after["pid"] != before["pid"]
        assert after["ports"] == before["ports"]


def test_nothing_outlives_a_killed_supervisor_and_the_next_up_works(local_stack):
    document = local_stack.up(ENGINES_ONLY)
    pids = [item["pid"] for item in document["components"]]
    parents = {psutil.Process(pid).ppid() for pid in pids}
    assert len(parents) == 1
    os.kill(parents.pop(), signal.SIGKILL)

    await_until(lambda: not any(psutil.pid_exists(pid) for pid in pids), "components outlived their supervisor")
    assert local_stack.status()["state"] == "down"
    assert local_stack.up(ENGINES_ONLY)["state"] == "up"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_start_leaves_nothing_running(local_stack, how):
    local_stack.local.mkdir()
    config = local_stack.local / "stack.toml"
    config.write_text(ENGINES_ONLY)
    starting = subprocess.Popen(
        local_stack.command("stack", "up", "--detach", "--config", str(config)),
        env=local_stack.environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    await_until(lambda: process.leftovers(local_stack.local), "nothing was started")
    starting.send_signal(how)
    starting.communicate(timeout=60)

    assert starting.returncode == (130 if how is signal.SIGINT else -signal.SIGKILL)
    await_until(lambda: not process.leftovers(local_stack.local), "something was left running")
    await_until(lambda: local_stack.status()["state"] == "down", "the supervisor stayed")
    assert local_stack.up(ENGINES_ONLY)["state"] == "up"


def test_held_in_the_foreground_it_ends_with_ctrl_c(local_stack):
    local_stack.local.mkdir()
    config = local_stack.local / "stack.toml"
    config.write_text(ENGINES_ONLY)
    holding = subprocess.Popen(
        local_stack.command("stack", "up", "--config", str(config)),
        env=local_stack.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    await_until(lambda: local_stack.status()["state"] == "up", "it did not come up", 90)
    assert holding.poll() is None
    holding.send_signal(signal.SIGINT)
    assert holding.wait(60) == 130
    assert process.leftovers(local_stack.local) == []


def test_ports_that_somebody_has_are_left_alone_and_it_is_said(local_stack):
    ports_before = {item["name"]: item["ports"] for item in local_stack.up(ENGINES_ONLY)["components"]}
    local_stack.down()
    with socket.create_server(("127.0.0.1", ports_before["kafka"]["kafka"])) as stranger:
        local_stack.up(ENGINES_ONLY)
        again = local_stack.cli("stack", "up", "--detach")
        assert stranger.getsockname()[1] == ports_before["kafka"]["kafka"]
    chosen = local_stack.component("kafka")["ports"]["kafka"]
    assert chosen != ports_before["kafka"]["kafka"]
    assert (str(chosen) in again.stderr) == (chosen != USUAL_KAFKA)


def test_a_second_up_joins_and_another_configuration_is_refused(local_stack):
    first = local_stack.up(ENGINES_ONLY)
    pids = {item["pid"] for item in first["components"]}
    assert {item["pid"] for item in local_stack.up(ENGINES_ONLY)["components"]} == pids
    other = local_stack.local / "other.toml"
    other.write_text(WITH_SIMULATOR)
    refused = local_stack.cli("stack", "up", "--detach", "--config", str(other), check=False)
    assert refused.returncode == 1
    assert "another configuration" in refused.stderr


def test_a_service_is_scaled_up_and_down_and_its_first_worker_stays(local_stack):
    local_stack.up(ENGINES_ONLY.replace("spamfilter = 0", "spamfilter = 1"))
    first = local_stack.component("spamfilter-1")["pid"]

    local_stack.cli("stack", "scale", "spamfilter", "2")

    workers = [item for item in local_stack.status()["components"] if item["service"] == "spamfilter"]
    assert [item["name"] for item in workers] == ["spamfilter-1", "spamfilter-2"]
    # Partitions move to the new worker: for a moment the first one rightly says that it is degraded.
    await_until(
        lambda: (
            {x["health"] for x in local_stack.status()["components"] if x["service"] == "spamfilter"} == {"healthy"}
        ),
        "the workers did not become healthy",
    )
    assert len({item["ports"]["http"] for item in workers}) == 2

    local_stack.cli("stack", "scale", "spamfilter", "1")

    staying = [item["pid"] for item in local_stack.status()["components"] if item["service"] == "spamfilter"]
    assert staying == [first], local_stack.cli("stack", "logs", "spamfilter-1").stdout
    assert "spamfilter-2" in local_stack.cli("stack", "logs", "spamfilter", "-n", "1").stdout
    assert not psutil.pid_exists(workers[1]["pid"])


def test_what_cannot_work_is_said_with_the_right_exit_code(local_stack):
    local_stack.local.mkdir()
    wrong = local_stack.local / "wrong.toml"
    wrong.write_text("[stack]\nworkers = { despatch = 1 }\n")
    refused = local_stack.cli("stack", "up", "--config", str(wrong), check=False)
    assert refused.returncode == 2
    assert "despatch" in refused.stderr
    assert local_stack.cli("stack", "scale", "dispatch", "2", check=False).returncode == 3
    assert local_stack.cli("stack", "scale", "despatch", "2", check=False).returncode == 2
    down = local_stack.cli("stack", "status", "--json", check=False)
    assert down.returncode == 3
    assert json.loads(down.stdout)["state"] == "down"
    assert local_stack.cli("stack", "logs", "nothing", check=False).returncode == 1
