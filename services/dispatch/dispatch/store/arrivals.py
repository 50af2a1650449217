"""Taking releases in: what a batch of them brings, gathered in arrays for one statement (`take_in`, migration 0007)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec

from dispatch.domain.outcomes import Outgoing
from dispatch.domain.work import Head
from dispatch.store.outbox import BLOCK

Place = tuple[str, int, int]
"""Link, slot and epoch an item is claimed for as it comes in."""

_ARGS = 33
CALL = f"take_in({', '.join(f'${n}' for n in range(1, _ARGS + 1))})"
"""As `bus.handling.Call` wants it."""
SQL = "select * from " + CALL  # noqa: S608 - our own function


class Item(msgspec.Struct, gc=False):
    """An item to insert; see the table."""

    grp: str
    not_before: int
    expires_at: int
    indices: list[int]
    place: Place | None = None


class Arrivals:
    """The rows of one batch of releases, in the order they are added."""

    def __init__(self) -> None:
        self._releases: list[tuple[Any, ...]] = []
        self._tasks: list[str] = []
        self.items: list[tuple[int, Item]] = []
        """Each with the place of its release, from 0."""
        self.events: list[tuple[int, Outgoing]] = []
        self.ports: dict[str, tuple[str, str, str]] = {}
        """Key, tenant and enterprise of each port."""

    def release(self, head: Head, task_ids: Sequence[str], payload: bytes) -> int:
        """Add a release and return its place."""
        row = (
            head.release_id,
            head.chunk_id,
            head.ekey,
            head.tenant,
            head.enterprise,
            head.lane,
            payload,
            head.traceparent,
            len(self._tasks),
            len(task_ids),
        )
        self._releases.append(row)
        self._tasks += task_ids
        return len(self._releases) - 1

    def args(self, now_ms: int) -> list[Any]:
        """Return the arguments of `CALL`."""
        rows = [list(column) for column in zip(*self._releases, strict=True)] if self._releases else [[]] * 10
        indices: list[int] = []
        offsets, lengths = [], []
        for _, item in self.items:
            offsets.append(len(indices))
            lengths.append(len(item.indices))
            indices += item.indices
        places = [item.place or (None, None, None) for _, item in self.items]
        events = [event for _, event in self.events]
        return [
            now_ms,
            *rows[:8],
            self._tasks,
            *rows[8:],
            [place + 1 for place, _ in self.items],
            [item.grp for _, item in self.items],
            [item.not_before for _, item in self.items],
            [item.expires_at for _, item in self.items],
            offsets,
            lengths,
            indices,
            [link for link, _, _ in places],
            [slot for _, slot, _ in places],
            [epoch for _, _, epoch in places],
            [place + 1 for place, _ in self.events],
            [event.topic for event in events],
            [event.key for event in events],
            [event.type for event in events],
            [event.trace for event in events],
            [event.payload for event in events],
            BLOCK,
            list(self.ports),
            [row[0] for row in self.ports.values()],
            [row[1] for row in self.ports.values()],
            [row[2] for row in self.ports.values()],
        ]

    def fresh(self, row: asyncpg.Record) -> set[int]:
        """Return the places of the releases that were not taken in before."""
        new = set(row["fresh"])
        return {place for place, release in enumerate(self._releases) if release[0] in new}

    def numbered(self, row: asyncpg.Record) -> list[tuple[int, Outgoing]]:
        """Return the events with the outbox ids they were given."""
        blocks: list[int] = row["blocks"]
        return [
            (place, msgspec.structs.replace(event, id=blocks[number // BLOCK] + number % BLOCK))
            for number, (place, event) in enumerate(self.events)
        ]
