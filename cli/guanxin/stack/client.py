"""What other programs ask of the local stack: is it up, where is everything, start it, stop it.

Commands that talk to the services begin here: `status` gives the addresses and the key.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from guanxin.stack import logs, paths, process, state
from guanxin.stack.control import Client, UnreachableError
from guanxin.stack.errors import StackError

CONNECT_TIMEOUT_S = 15.0
ANSWER_TIMEOUT_S = 10.0
LEAVE_TIMEOUT_S = 60.0

Event = dict[str, Any]
DOWN: Event = {"state": "down", "components": []}


def status(local: Path | None = None) -> Event:
    """Return the document of `status --json`; ``{"state": "down", …}`` where no supervisor answers."""
    try:
        with Client(local or paths.local_dir(), ANSWER_TIMEOUT_S) as client:
            return client.ask(op="status")
    except UnreachableError:
        return dict(DOWN)


def bring_up(local: Path, config_path: Path | None, *, hold: bool) -> Iterator[Event]:
    """Start the stack (or join one that is starting or up) and yield its events until it is up; with ``hold`` until
    it is down.

    A stack that this call started goes down again when the iterator is closed before it is up, or at any time with
    ``hold``. Raises StackError when a stack with another configuration is there, or the supervisor cannot be started.
    """
    client, owner = _join_or_start(local, config_path)
    with client:
        client.send(op="attach", hold=hold and owner, owner=owner)
        yield {"event": "owner", "owner": owner}
        yield from client.answers()


def _join_or_start(local: Path, config_path: Path | None) -> tuple[Client, bool]:
    _await_end_of_a_leaving_one(local)
    try:
        with Client(local, ANSWER_TIMEOUT_S) as client:
            present = client.ask(op="status")
        if config_path is not None and present.get("config") != state.config_digest(config_path):
            raise StackError(
                "other_config_running",
                ("本机平台已用另一份配置运行。", "The local stack is already running with another configuration."),
                ("请先运行 guanxin stack down。", "Run guanxin stack down first."),
            )
        return Client(local), False
    except UnreachableError:
        return _start(local, config_path), True


def _await_end_of_a_leaving_one(local: Path) -> None:
    deadline = time.monotonic() + LEAVE_TIMEOUT_S
    while status(local)["state"] == "stopping" and time.monotonic() < deadline:
        time.sleep(0.1)


def _start(local: Path, config_path: Path | None) -> Client:
    log = local / "log" / "supervisor.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    logs.rotate(log)
    arguments = [] if config_path is None else [str(config_path.resolve())]
    roots = os.pathsep.join(str(root) for root in paths.import_roots())
    with log.open("ab") as stream:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "guanxin.stack.supervisor", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env={**os.environ, "GUANXIN_LOCAL_DIR": str(local), "PYTHONPATH": roots},
            start_new_session=True,
        )
    deadline = time.monotonic() + CONNECT_TIMEOUT_S
    while True:
        try:
            return Client(local)
        except UnreachableError:
            if supervisor.poll() not in (None, 0) or time.monotonic() > deadline:
                tail = logs.tail(log, 20)
                raise StackError(
                    "supervisor_failed",
                    (
                        f"监管进程未能启动。日志末尾：\n{tail}",
                        f"The supervisor did not start. The end of its log:\n{tail}",
                    ),
                    (f"完整日志：{log}", f"The whole log: {log}"),
                ) from None
            time.sleep(0.05)


def bring_down(local: Path, watch: Callable[[Event], None]) -> bool:
    """Stop the stack and return when nothing of it runs; ``watch`` sees the events. Returns whether there was
    anything to stop.
    """
    try:
        with Client(local) as client:
            client.send(op="down")
            for event in client.answers():
                watch(event)
    except UnreachableError:
        # No supervisor: what a killed one may have left (grandchildren; anything where the kernel has no death
        # signal) is ended here.
        return process.end(process.leftovers(local)) > 0
    return True


def scale(local: Path, service: str, workers: int) -> Event:
    """Ask for ``workers`` processes of ``service`` and return the answer once they are there; ``error`` in it says
    why not.
    """
    with Client(local) as client:
        return client.ask(op="scale", service=service, workers=workers)


def wipe(local: Path) -> None:
    """Delete the data of a stack that is down."""
    state.reset(local)
