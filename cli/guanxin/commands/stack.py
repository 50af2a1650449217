"""``guanxin stack``: the local stack, up and down, what it is doing, its logs, more or fewer workers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from guanxin import output
from guanxin.i18n import t
from guanxin.output import Exit
from guanxin.stack import client, logs, paths, view
from guanxin.stack.control import UnreachableError
from guanxin.stack.errors import StackError
from guanxin.stack.services import MOST_WORKERS, SERVICES

if TYPE_CHECKING:
    from guanxin.stack.config import StackConfig

DEMO_MODULE = "guanxin.demo"
FOLLOW_EVERY_S = 0.3

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help=t(
        "本机整套平台：Kafka、PostgreSQL、模拟器和全部服务。例：guanxin stack up --detach",
        "The local stack: Kafka, PostgreSQL, simulators and all services. Example: guanxin stack up --detach",
    ),
)


@app.command(
    help=t("启动。例：guanxin stack up --detach", "Start. Example: guanxin stack up --detach --config my.toml")
)
def up(
    *,
    detach: Annotated[
        bool, typer.Option("--detach", help=t("启动后返回，平台在后台运行", "return once it is up"))
    ] = False,
    config_file: Annotated[Path | None, typer.Option("--config", help=t("TOML 配置文件", "TOML file"))] = None,
    json_: Annotated[bool, typer.Option("--json", help=t("就绪后打印状态", "print the status once up"))] = False,
) -> None:
    """Bring the stack up; in the foreground it stays until Ctrl-C and then goes down."""
    local = paths.local_dir()
    settings = _checked(config_file)
    console = output.diagnostics()
    try:
        owner = _rise(local, config_file, console, hold=not detach, settings=settings, as_json=json_)
    except KeyboardInterrupt:
        console.print(t("中断：正在停止全部组件……", "Interrupted: stopping everything …"))
        _fall(local, console)
        raise typer.Exit(130) from None
    except StackError as error:
        output.fail(Exit.NO, error.what, error.todo)
    if not owner:
        console.print(t("平台原已运行。", "The stack was running already."))


def _checked(config_file: Path | None) -> StackConfig:
    from guanxin.stack import config  # noqa: PLC0415 - only `up` pays for the settings' machinery

    try:
        return config.load(config_file)
    except StackError as error:
        output.fail(Exit.MISUSE, error.what, error.todo)


def _rise(
    local: Path, config_file: Path | None, console: Console, *, hold: bool, settings: StackConfig, as_json: bool
) -> bool:
    """Follow the stack up (and, holding it, to its end); returns whether this command started it."""
    owner = False
    failure: dict[str, Any] | None = None
    follower = view.Follower(console)
    with follower:
        for event in client.bring_up(local, config_file, hold=hold):
            if owner or not event.get("past"):  # who joins is not told what others waited for
                follower.show(event)
            match event["event"]:
                case "owner":
                    owner = event["owner"]
                case "failed":
                    failure = event
                case "up":
                    follower.pause()
                    if owner and settings.stack.demo:
                        _demo(local, as_json=as_json)
                    _present(local, event, console, as_json=as_json)
                    if hold and owner:
                        console.print(t("按 Ctrl-C 停止。", "Ctrl-C stops everything."))
                case _:
                    pass
    if failure is not None:
        output.fail(Exit.NO, failure["what"], failure["todo"])
    if client.status(local)["state"] != "up":
        output.fail(Exit.NO, t("平台没有起来。", "The stack did not come up."), str(local / "log" / "supervisor.log"))
    return owner


def _present(local: Path, event: dict[str, Any], console: Console, *, as_json: bool) -> None:
    document = client.status(local)
    for line in event.get("unusual_ports", []):
        console.print(f"[yellow]![/] {t('常用端口被占，改用', 'the usual port is taken, using another:')} {line}")
    if as_json:
        output.emit_json(document)
    else:
        view.where_to_look(output.results(), document)


def _demo(local: Path, *, as_json: bool) -> None:
    """Send the demo's traffic, which tells its own story; with --json the story goes to standard error."""
    environment = {**os.environ, "GUANXIN_LOCAL_DIR": str(local)}
    stdout = sys.stderr if as_json else None
    done = subprocess.run([sys.executable, "-m", DEMO_MODULE], env=environment, stdout=stdout, check=False)
    if done.returncode != 0:
        output.fail(
            Exit.NO,
            t(
                "演示流量未按预期完成（平台仍在运行）。",
                "The demo traffic did not go as expected (the stack is still up).",
            ),
            t("查看：guanxin stack logs", "Look at: guanxin stack logs"),
        )


def _fall(local: Path, console: Console) -> bool:
    with view.Follower(console) as follower:
        return client.bring_down(local, follower.show)


@app.command(help=t("停止全部组件。例：guanxin stack down", "Stop everything. Example: guanxin stack down"))
def down() -> None:
    """Stop the stack; data stays."""
    console = output.diagnostics()
    if not _fall(paths.local_dir(), console):
        console.print(t("平台没有在运行。", "The stack was not running."))


@app.command(
    help=t("停止并清空本地数据。例：guanxin stack reset", "Stop and delete local data. Example: guanxin stack reset")
)
def reset() -> None:
    """Stop the stack and delete its data, secrets and logs; downloads stay."""
    local = paths.local_dir()
    console = output.diagnostics()
    _fall(local, console)
    client.wipe(local)
    console.print(t("本地数据已清空。", "Local data is gone."))


@app.command(help=t("状态。例：guanxin stack status --json", "Status. Example: guanxin stack status --json"))
def status(*, json_: Annotated[bool, typer.Option("--json", help="JSON")] = False) -> None:
    """Show what runs and where; exit code 3 when the stack is down."""
    document = client.status()
    if json_:
        output.emit_json(document)
    elif document["state"] == "down":
        output.diagnostics().print(t("平台没有在运行。启动：make run", "The stack is not running. Start it: make run"))
    else:
        console = output.results()
        console.print(f"{t('状态', 'state')}: {document['state']}")
        console.print(view.components(document))
        if "api" in document:
            view.where_to_look(console, document)
    if document["state"] == "down":
        raise typer.Exit(Exit.UNREACHABLE)


@app.command(
    "logs", help=t("日志。例：guanxin stack logs dispatch-1 -f", "Logs. Example: guanxin stack logs dispatch-1 -f")
)
def logs_(
    service: Annotated[str | None, typer.Argument(help=t("组件或服务名", "a component or a service"))] = None,
    *,
    lines: Annotated[int, typer.Option("-n", min=1, max=10_000, help=t("行数", "lines"))] = 40,
    follow: Annotated[bool, typer.Option("-f", "--follow", help=t("持续输出", "keep printing"))] = False,
) -> None:
    """Print the end of the logs of all components or of one."""
    folder = paths.local_dir() / "log"
    files = sorted(folder.glob("*.log"))
    if service is not None:
        wanted = [file for file in files if file.stem == service or file.stem.rpartition("-")[0] == service]
        if not wanted:
            known = ", ".join(file.stem for file in files) or "-"
            what = t(f"没有 {service} 的日志。", f"There is no log of {service}.")
            output.fail(Exit.NO, what, t(f"现有：{known}", f"There are: {known}"))
        files = wanted
    for file in files:
        prefix = f"{file.stem} | " if len(files) > 1 else ""
        for line in logs.tail(file, lines).splitlines():
            sys.stdout.write(f"{prefix}{line}\n")
    if follow:
        _follow(files)


def _follow(files: list[Path]) -> None:
    places = {file: file.stat().st_size for file in files}
    try:
        while True:
            for file in files:
                size = file.stat().st_size
                if size < places[file]:  # it was cut
                    places[file] = 0
                with file.open("rb") as stream:
                    stream.seek(places[file])
                    new = stream.read()
                complete = new[: new.rfind(b"\n") + 1]
                places[file] += len(complete)
                prefix = f"{file.stem} | " if len(files) > 1 else ""
                for line in complete.decode("utf-8", errors="replace").splitlines():
                    sys.stdout.write(f"{prefix}{line}\n")
            sys.stdout.flush()
            time.sleep(FOLLOW_EVERY_S)
    except KeyboardInterrupt:
        return


@app.command(
    help=t(
        "改变进程数。例：guanxin stack scale dispatch 2", "Change the workers. Example: guanxin stack scale dispatch 2"
    )
)
def scale(
    service: Annotated[str, typer.Argument(help=", ".join(SERVICES))],
    workers: Annotated[int, typer.Argument(min=0, max=MOST_WORKERS)],
) -> None:
    """Start or drain workers of one service and return when that is done."""
    if service not in SERVICES:
        output.fail(Exit.MISUSE, t(f"没有服务 {service}。", f"There is no service {service}."), ", ".join(SERVICES))
    try:
        answer = client.scale(paths.local_dir(), service, workers)
    except UnreachableError:
        output.fail(Exit.UNREACHABLE, t("平台没有在运行。", "The stack is not running."), "make run")
    if "error" in answer:
        output.fail(Exit.NO, str(answer.get("what", answer["error"])), str(answer.get("todo", "")))
    output.results().print(f"{service}: {answer['workers']}")
