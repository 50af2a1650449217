"""``guanxin config check``: are settings, links and the stack's file valid, and where does each value come from."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from pydantic import ValidationError
from rich.table import Table

from guanxin import output
from guanxin.i18n import t
from guanxin.output import Exit
from guanxin.stack import client, config, paths
from guanxin.stack.errors import StackError
from guanxin.stack.services import SERVICES

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help=t("检查配置。例：guanxin config check", "Check the settings. Example: guanxin config check --service ingest"),
)

PREFIX = "GUANXIN_"


@app.callback()
def _group() -> None:
    """Make `check` a command of its own, so that others may join it."""


@app.command(help=t("检查配置并说明每个值的来源", "check every setting and say where its value comes from"))
def check(
    *,
    config_file: Annotated[Path | None, typer.Option("--config", help=t("本机平台的 TOML", "the stack's TOML"))] = None,
    service: Annotated[str | None, typer.Option("--service", "-s", help=", ".join(SERVICES))] = None,
    json_: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Check the stack's file, the links, and each service's settings; exit code 1 when anything is wrong."""
    if service is not None and service not in SERVICES:
        output.fail(Exit.MISUSE, t(f"没有服务 {service}。", f"There is no service {service}."))
    faults: list[str] = [*_file_faults(config_file), *_link_faults(config_file)]
    explained: dict[str, list[dict[str, str]]] = {}
    for name in [service] if service else SERVICES:
        with _environment(_running(name)):
            rows, found = _explained(name)
        explained[name] = rows
        faults += [f"{name}: {fault}" for fault in found]
    if json_:
        output.emit_json({"ok": not faults, "faults": faults, "settings": explained})
    else:
        _show(explained)
        for fault in faults:
            output.diagnostics().print(f"[red]✗[/] {fault}".replace("[/] [", "[/] \\["), soft_wrap=True)
        if not faults:
            output.results().print(t("配置无误", "everything is valid"))
    raise typer.Exit(Exit.NO if faults else Exit.DONE)


def _file_faults(path: Path | None) -> list[str]:
    try:
        config.load(path)
    except StackError as error:
        return [error.what]
    return []


def _link_faults(path: Path | None) -> list[str]:
    linkconfig = importlib.import_module("dispatch.domain.linkconfig")
    document: Any = []
    source = paths.local_dir() / "links.json"
    try:
        if path is not None:
            document = tomllib.loads(path.read_text(encoding="utf-8")).get("links", [])
        elif source.exists():
            document = json.loads(source.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return [f"links: {error}"]
    try:
        linkconfig.parse_links(document)
    except linkconfig.LinkConfigError as error:
        return [f"links: {error}"]
    return []


def _running(service: str) -> Mapping[str, str]:
    """Return the settings of a worker of the local stack that runs now; else those of this shell."""
    for component in client.status()["components"]:
        if component.get("service") == service and component.get("pid"):
            try:
                environment = psutil.Process(component["pid"]).environ()
            except psutil.Error:
                continue
            return {name: value for name, value in environment.items() if name.startswith(PREFIX)}
    return {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Stand in the place of a service for a moment."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _explained(service: str) -> tuple[list[dict[str, str]], list[str]]:
    shared = importlib.import_module("servicekit.settings")
    package = service.replace("-", "_")
    module = importlib.import_module(f"{package}.settings")
    kinds = [
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, shared.ServiceSettings) and kind is not shared.ServiceSettings
    ]
    try:
        return [asdict(row) for row in shared.explain(kinds[0])], []
    except ValidationError as error:
        return [], [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
    except shared.SettingsError as error:
        return [], [str(error)]


def _show(explained: dict[str, list[dict[str, str]]]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in (t("服务", "service"), t("设置", "setting"), t("值", "value"), t("来源", "from")):
        table.add_column(heading, overflow="fold")
    for service, rows in explained.items():
        for row in rows:
            origin = row["origin"]
            words = {"environment": t("环境变量", "environment"), "default": t("默认", "default")}
            table.add_row(service, row["env"], row["value"], words.get(origin, origin))
    output.results().print(table)
