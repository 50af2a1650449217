"""What the simulated carrier will do later: answers that wait for their latency, receipts for their delay.

Pure: due times are monotonic seconds.  Equal due times keep their order.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Schedule(Generic[T]):
    """A queue by due time: what comes in order stands in line, only the rest costs a heap."""

    def __init__(self) -> None:
        self._line: deque[tuple[float, int, T]] = deque()
        self._heap: list[tuple[float, int, T]] = []
        self._number = 0

    def __len__(self) -> int:
        return len(self._line) + len(self._heap)

    def put(self, due: float, item: T) -> None:
        """Add an item that is due at ``due``."""
        self._number += 1
        line = self._line
        if not line or due >= line[-1][0]:
            line.append((due, self._number, item))
        else:
            heapq.heappush(self._heap, (due, self._number, item))

    def due(self, now: float, at_most: int) -> list[T]:
        """Take out what is due by ``now``, at most so many, earliest first."""
        line, heap = self._line, self._heap
        taken: list[T] = []
        while len(taken) < at_most:
            if line and (not heap or line[0] < heap[0]):
                if line[0][0] > now:
                    break
                taken.append(line.popleft()[2])
            elif heap and heap[0][0] <= now:
                taken.append(heapq.heappop(heap)[2])
            else:
                break
        return taken

    def next_due(self) -> float | None:
        """Return the earliest due time; None when empty."""
        return min((queue[0][0] for queue in (self._line, self._heap) if queue), default=None)

    def clear(self) -> None:
        """Forget everything."""
        self._line.clear()
        self._heap.clear()
