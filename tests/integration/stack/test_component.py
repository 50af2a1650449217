"""One supervised process, against real processes."""

import asyncio
import os
import signal
import socket
import sys

import psutil
import pytest

from guanxin.stack import component, logs, ports, process
from guanxin.stack.component import Component, Launch, Plan
from guanxin.stack.errors import StackError
from guanxin.stack.probe import Health

SLEEPER = "import signal, sys; print('up', flush=True); signal.pause()"


def _plan(code, probe, listening=None, **more):
    return Plan(
        "thing-1",
        "service",
        "thing",
        listening or {},
        probe,
        lambda: Launch([sys.executable, "-c", code], dict(os.environ)),
        **more,
    )


async def _healthy():
    return Health.HEALTHY


@pytest.fixture
def supervised(tmp_path):
    changes, faults = [], []

    def make(plan):
        made = Component(
            plan, tmp_path, tmp_path / "thing.log", lambda item: changes.append(item.health), faults.append
        )
        made_all.append(made)
        return made

    made_all = []
    make.changes = changes
    yield make
    assert faults == []


async def _until(condition, timeout_s=15):
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.01)


async def test_it_starts_is_asked_and_stops(supervised):
    thing = supervised(_plan(SLEEPER, _healthy))
    await thing.start()
    pid = thing.pid
    assert psutil.Process(pid).cmdline()[-1] == SLEEPER  # the process itself, no wrapper
    assert thing.describe()["health"] == "healthy"
    await thing.stop()
    assert not psutil.pid_exists(pid)
    assert thing.pid is None
    assert supervised.changes == [Health.STARTING, Health.HEALTHY, Health.STOPPED]


async def test_a_killed_process_is_started_again_and_counted(supervised):
    thing = supervised(_plan(SLEEPER, _healthy))
    await thing.start()
    first = thing.pid
    os.kill(first, signal.SIGKILL)
    await _until(lambda: thing.pid not in {None, first} and thing.health is Health.HEALTHY)
    assert thing.restarts == 1
    await thing.stop()


async def test_one_whose_port_was_taken_while_it_was_down_gets_another(supervised, monkeypatch):
    monkeypatch.setattr(component, "BACKOFF_FIRST_S", 1.0)  # time enough for the stranger
    first, second = ports.any_free(), ports.any_free()

    listener = "import signal, socket; s = socket.create_server(('127.0.0.1', {})); signal.pause()"
    thing = supervised(_plan(listener.format(first), _healthy, {"http": first}))
    thing.replan = lambda: _plan(listener.format(second), _healthy, {"http": second})
    await thing.start()
    os.kill(thing.pid, signal.SIGKILL)
    await _until(lambda: ports.is_free(first))
    with socket.create_server(("127.0.0.1", first)):
        await _until(lambda: thing.plan.ports == {"http": second} and thing.health is Health.HEALTHY)
    await thing.stop()


async def test_one_that_never_gets_healthy_is_reported_with_the_end_of_its_log(supervised, monkeypatch):
    monkeypatch.setattr(component, "BACKOFF_FIRST_S", 0.01)

    async def never():
        return Health.UNHEALTHY

    thing = supervised(_plan("print('the reason', flush=True); raise SystemExit(3)", never))
    with pytest.raises(StackError, match="the reason") as caught:
        await thing.start()
    assert caught.value.code == "component_not_healthy"
    assert "exit 3" in str(caught.value)
    assert logs.tail(thing.log, 10).splitlines() == ["the reason"] * component.EXITS_BEFORE_GIVING_UP
    await thing.stop()


async def test_one_that_is_deaf_to_its_signal_is_killed(supervised):
    async def probe():
        return Health.HEALTHY if "deaf" in logs.tail(thing.log, 1) else Health.UNHEALTHY

    code = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)\n"
        "while True: signal.pause()"
    )
    thing = supervised(_plan(code, probe, stop_patience_s=0.2))
    await thing.start()
    pid = thing.pid
    await thing.stop()
    assert not psutil.pid_exists(pid)


async def test_a_stranger_who_answers_on_its_port_is_not_taken_for_it(supervised):
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        thing = supervised(_plan(SLEEPER, _healthy, {"http": stranger.getsockname()[1]}, start_timeout_s=0.5))
        with pytest.raises(StackError):
            await thing.start()
        await thing.stop()
    assert Health.HEALTHY not in supervised.changes


async def test_one_that_listens_itself_is_healthy(supervised):
    port = ports.any_free()
    code = f"import signal, socket; s = socket.create_server(('127.0.0.1', {port})); signal.pause()"
    thing = supervised(_plan(code, _healthy, {"http": port}))
    await thing.start()
    await thing.stop()


async def test_grandchildren_go_with_it(supervised, tmp_path):
    code = (
        "import subprocess, sys, signal\n"
        "c = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        "print(c.pid, flush=True)\nsignal.pause()"
    )

    async def probe():
        return Health.HEALTHY if logs.tail(thing.log, 1) else Health.UNHEALTHY

    thing = supervised(_plan(code, probe))
    await thing.start()
    grandchild = psutil.Process(int(logs.tail(thing.log, 1)))
    os.kill(thing.pid, signal.SIGKILL)
    await _until(lambda: not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE)
    await thing.stop()


async def test_health_follows_what_it_answers_once_it_was_healthy(supervised, monkeypatch):
    monkeypatch.setattr(component, "POLL_S", 0.01)
    answers = [Health.UNHEALTHY, Health.HEALTHY, Health.DEGRADED]

    async def probe():
        return answers.pop(0) if len(answers) > 1 else answers[0]

    thing = supervised(_plan(SLEEPER, probe))
    await thing.start()
    await _until(lambda: thing.health is Health.DEGRADED)
    await thing.stop()
    assert supervised.changes == [Health.STARTING, Health.HEALTHY, Health.DEGRADED, Health.STOPPED]


async def test_what_a_former_run_left_is_found_by_its_mark_and_ended(tmp_path):
    left = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "import signal; signal.pause()", env={**os.environ, process.MARK: str(tmp_path)}
    )
    found = process.leftovers(tmp_path)
    assert [item.pid for item in found] == [left.pid]
    assert process.leftovers(tmp_path / "other") == []
    ending = asyncio.create_task(asyncio.to_thread(process.end, found))
    await left.wait()
    assert await ending == 1
