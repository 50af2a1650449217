"""Screening on request: in slices, because the same event loop screens verification codes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from spamfilter.domain.matcher import Matcher, Screening

SLICE_CHARACTERS = 10_000
"""Characters screened without giving the loop back: some five milliseconds."""


async def explain_all(matcher: Matcher, texts: Iterable[str], port: str, at_ms: int) -> list[Screening]:
    """Return the screening of every text with its score worked out; nothing is stored."""
    results = []
    since = 0
    for text in texts:
        results.append(matcher.explain(text, port, at_ms))
        since += len(text)
        if since >= SLICE_CHARACTERS:
            since = 0
            await asyncio.sleep(0)
    return results
