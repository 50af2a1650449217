"""Commands that run once on the way up: topics, migrations, demo data. Each has a log of its own; a failure shows
the end of it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from guanxin.stack import logs, process
from guanxin.stack.component import Launch
from guanxin.stack.errors import StackError

TIMEOUT_S = 180.0


async def run(name: str, launch: Launch, mark: Path, log: Path, *, input_: bytes | None = None) -> None:
    """Run one command to its end; raises StackError when it fails or takes longer than TIMEOUT_S."""
    descriptor = _fresh(log)
    try:
        child = await asyncio.create_subprocess_exec(
            *launch.command,
            stdin=asyncio.subprocess.PIPE if input_ is not None else asyncio.subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            env={**launch.environment, process.MARK: str(mark)},
            cwd=mark,
            start_new_session=True,
            preexec_fn=process.tied_to_parent(signal.SIGKILL),
        )
    finally:
        os.close(descriptor)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await child.communicate(input_)
    except TimeoutError:
        raise _failed(name, log, f"> {TIMEOUT_S:.0f} s") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
        process.kill_group(child.pid)
    if child.returncode != 0:
        raise _failed(name, log, f"exit {child.returncode}")


def _fresh(log: Path) -> int:
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _failed(name: str, log: Path, why: str) -> StackError:
    tail = logs.tail(log, 25)
    return StackError(
        "step_failed",
        (f"步骤 {name} 失败（{why}）。日志末尾：\n{tail}", f"Step {name} failed ({why}). The end of its log:\n{tail}"),
        (f"完整日志：{log}", f"The whole log: {log}"),
    )
