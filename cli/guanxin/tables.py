"""One table for people from rows of text."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from guanxin import output


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print to standard output."""
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    output.results().print(table)
