"""Shows what the local stack does and is: progress on the way up and down, the table of components, where to look."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from guanxin.i18n import t

_HEALTH_STYLE = {
    "healthy": "green",
    "starting": "yellow",
    "degraded": "yellow",
    "unhealthy": "red",
    "stopped": "dim",
}
_NAMES = {
    "kafka-jars": ("取得 Kafka 程序包", "obtain Kafka's jars"),
    "web-assets": ("取得页面资源", "obtain web assets"),
    "topics": ("创建主题", "create topics"),
    "migrations": ("建表与迁移", "migrate the database"),
    "seed": ("写入初始数据", "seed data"),
}


def _label(name: str) -> str:
    return t(*_NAMES[name]) if name in _NAMES else name


class Follower:
    """Renders the supervisor's events: a spinner for what runs, a line for what is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
        )
        self._running: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def pause(self) -> None:
        """Stop the spinners: somebody else writes to the terminal now."""
        self._progress.stop()

    def show(self, event: dict[str, Any]) -> None:
        """Render one event."""
        name = str(event.get("name", ""))
        match event["event"], event.get("state"):
            case "step", "running":
                self._running[name] = self._progress.add_task(_label(name), total=None)
            case "step", "done":
                self._clear(name)
                self._console.print(f"[green]✓[/] {_label(name)} [dim]{event['seconds']:.1f} s[/]")
            case "step", "failed":
                self._clear(name)
                self._console.print(f"[red]✗[/] {_label(name)}")
            case "progress", _ if name in self._running:
                text = f"{_label(name)} {event['done']}/{event['total']}"
                self._progress.update(self._running[name], description=text)
            case "note", _:
                said = t("清理上次运行遗留的进程", "ended processes a former run had left")
                self._console.print(f"[yellow]![/] {said}: {event['detail']}")
            case "stopped", _:
                self._console.print(f"[dim]■ {name}[/]")
            case "component", _:
                health = str(event["health"])
                self._console.print(
                    f"[{_HEALTH_STYLE.get(health, '')}]• {name}: {health}[/] [dim]pid {event['pid']}[/]"
                )

    def _clear(self, name: str) -> None:
        task = self._running.pop(name, None)
        if task is not None:
            self._progress.remove_task(task)


def components(document: dict[str, Any]) -> Table:
    """Return the table of `status`."""
    table = Table(box=None, pad_edge=False)
    headings = (
        ("组件", "component"),
        ("状态", "health"),
        ("进程", "pid"),
        ("端口", "ports"),
        ("自", "since"),
        ("重启", "restarts"),
        ("内存", "memory"),
    )
    for heading in headings:
        table.add_column(t(*heading))
    for item in document["components"]:
        style = _HEALTH_STYLE.get(item["health"], "")
        ports = " ".join(f"{name}={port}" for name, port in item["ports"].items())
        megabytes = f"{item['rss_bytes'] / 1e6:.0f} MB" if item["rss_bytes"] else ""
        since = str(item["since"])[11:19]
        table.add_row(
            item["name"],
            f"[{style}]{item['health']}[/]",
            str(item["pid"] or ""),
            ports,
            since,
            str(item["restarts"]),
            megabytes,
        )
    return table


def where_to_look(console: Console, document: dict[str, Any]) -> None:
    """Print the addresses, the demo's logins and the key."""
    console.print(f"\n[bold]{t('控制台', 'Console')}[/]    {document['console']['url']}")
    for login in document["console"]["logins"]:
        console.print(f"           {login['role']}: {login['user']} / {login['password']}")
    console.print(f"[bold]{t('接口', 'API')}[/]        {document['api']['url']}")
    console.print(f"           {t('密钥', 'key')}: {document['api']['key']}")
    for item in document["components"]:
        if item["kind"] == "simulator" and "http" in item["ports"]:
            console.print(
                f"[bold]{t('模拟器', 'Simulator')}[/]  http://127.0.0.1:{item['ports']['http']}/stats  ({item['name']})"
            )
        if "sftp" in item["ports"]:
            console.print(f"[bold]SFTP[/]       127.0.0.1:{item['ports']['sftp']}  ({t('话单', 'charging files')})")
    console.print(f"[bold]Kafka[/]      {document['kafka']['bootstrap_servers']}")
    command = t("命令行：. .venv/bin/activate 后运行 guanxin", "command line: . .venv/bin/activate, then guanxin")
    hint = t("停止：make down   清空：make reset", "stop: make down   wipe: make reset")
    console.print(f"[dim]{command}   {hint}[/]")
