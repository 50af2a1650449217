"""``guanxin bench``: run a benchmark of `bench/` and print its table."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import typer

from guanxin.i18n import t
from guanxin.stack import paths

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    help=t("运行性能基准，不带名称则列出。例：", "Run a benchmark; without a name, list them. Example: ")
    + "guanxin bench end-to-end --messages 100000",
)
def bench(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]")] = None,
) -> None:
    """Run `bench/NAME.py` with the remaining arguments; its exit code is this command's."""
    chosen = [] if name is None else [name, *context.args]
    done = subprocess.run([sys.executable, "-m", "bench", *chosen], cwd=paths.REPOSITORY, check=False)
    raise typer.Exit(done.returncode)
