"""Arguments that may also come from standard input, one a line, so that a command takes one thing or a million."""

from __future__ import annotations

import sys
from collections.abc import Iterator


def given_or_lines(argument: str | None) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, text): the argument where there is one, else the lines that are not blank."""
    if argument is not None:
        yield 1, argument
        return
    for number, line in enumerate(sys.stdin, 1):
        text = line.strip()
        if text:
            yield number, text
