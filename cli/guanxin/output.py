"""How every command speaks: results to standard output, diagnostics to standard error, and four exit codes.

With ``--json`` standard output holds JSON documents and nothing else.
"""

from __future__ import annotations

import json
import sys
from enum import IntEnum
from typing import Any, NoReturn

import typer
from rich.console import Console


class Exit(IntEnum):
    """The exit codes of every command."""

    DONE = 0
    NO = 1  # refused, not found, check failed
    MISUSE = 2  # wrong use or malformed input
    UNREACHABLE = 3  # the platform cannot be reached


def results() -> Console:
    """Return the console for results."""
    return Console(highlight=False)


def diagnostics() -> Console:
    """Return the console for everything else: progress, hints, errors."""
    return Console(stderr=True, highlight=False)


def emit_json(document: Any, *, line: bool = False) -> None:
    """Print one JSON document; ``line=True`` for commands that print one a line."""
    indent = None if line else 2
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=indent) + "\n")
    sys.stdout.flush()


def fail(exit_code: Exit, what: str, todo: str = "") -> NoReturn:
    """Say what is wrong and what to do on standard error, and end the command with ``exit_code``."""
    console = diagnostics()
    console.print(f"[bold red]✗[/] {_plain(what)}", soft_wrap=True)
    if todo:
        console.print(f"  → {_plain(todo)}", soft_wrap=True)
    raise typer.Exit(exit_code)


def _plain(text: str) -> str:
    return text.replace("[", "\\[")  # what others wrote is no markup of ours
