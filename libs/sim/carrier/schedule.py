"""What the simulated carrier will do later: answers that wait for their latency, receipts for their delay.

Pure: due times are monotonic seconds.  Equal due times keep their order.
"""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

T = TypeVar("T")


class Schedule(Generic[T]):
    """A queue by due time."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, T]] = []
        self._number = 0

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, due: float, item: T) -> None:
        """Add an item that is due at ``due``."""
        self._number += 1
        heapq.heappush(self._heap, (due, self._number, item))

    def due(self, now: float, at_most: int) -> list[T]:
        """Take out what is due by ``now``, at most so many, earliest first."""
        heap = self._heap
        taken: list[T] = []
        while heap and heap[0][0] <= now and len(taken) < at_most:
            taken.append(heapq.heappop(heap)[2])
        return taken

    def next_due(self) -> float | None:
        """Return the earliest due time; None when empty."""
        return self._heap[0][0] if self._heap else None

    def clear(self) -> None:
        """Forget everything."""
        self._heap.clear()
