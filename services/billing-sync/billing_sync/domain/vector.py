"""Where every segment of a chunk stands in charging, one octet each: what makes a repeated event change nothing.

Octet of segment ``s`` (from 1) of message ``i`` is at ``i * stride + s - 1``.  The stride is the greatest number of
segments seen in the chunk and grows when a longer message comes; most chunks have one segment a message and so one
octet.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

MAX_INDEX = 500
MAX_SEGMENT = 255

MARK = 0x40
"""Set when the segment had been uncertain and was sent again: charged once, and marked."""

EARLY = 0x80
"""The receipt came before the answer; the octet's stage is the one it will close with."""

_STAGE = 0x1F


class Stage(IntEnum):
    """How far a segment is; from `DELIVERED` on its record is closed, for good."""

    NONE = 0
    OPEN = 1
    DELIVERED = 2
    FAILED = 3
    EXPIRED = 4
    REJECTED = 5
    UNKNOWN = 6

    @property
    def label(self) -> str:
        """The word in records and in the API."""
        return self.name.lower()


_OPEN, _OPEN_MARKED = int(Stage.OPEN), Stage.OPEN | MARK

_STAGES: tuple[Stage, ...] = tuple(Stage)
"""By value: looking an enumeration up by call costs more than the rest of applying an event."""


class Vector:
    """The octets of one chunk."""

    def __init__(self, stride: int = 1, octets: bytes = b"") -> None:
        """Take what is stored; an empty vector has no segment anywhere."""
        self.stride = stride
        self._octets = bytearray(octets)

    @property
    def octets(self) -> bytes:
        """The form that is stored."""
        return bytes(self._octets)

    @property
    def open(self) -> int:
        """Segments that wait for their receipt."""
        return self._octets.count(_OPEN) + self._octets.count(_OPEN_MARKED)

    @property
    def early(self) -> bool:
        """Whether a receipt waits for its answer."""
        return max(self._octets, default=0) >= EARLY

    def get(self, index: int, segment: int) -> int:
        """Return the octet of a segment, 0 where nothing is known."""
        at = index * self.stride + segment - 1
        return self._octets[at] if segment <= self.stride and at < len(self._octets) else 0

    def set(self, index: int, segment: int, octet: int) -> None:
        """Set the octet of a segment; the vector grows as needed."""
        if segment > self.stride:
            self._widen(segment)
        at = index * self.stride + segment - 1
        if at >= len(self._octets):
            self._octets.extend(bytes((index + 1) * self.stride - len(self._octets)))
        self._octets[at] = octet

    def places(self, indices: Sequence[int], segments: Sequence[int]) -> list[int] | None:
        """Return where the octets of these segments are, all inside the vector; None when one is named twice."""
        most = max(segments)
        if most > self.stride:
            self._widen(most)
        if self.stride == 1:
            found = list(indices)
        else:
            found = [index * self.stride + segment - 1 for index, segment in zip(indices, segments, strict=True)]
        if len(set(found)) != len(found):
            return None
        missing = max(found) + 1 - len(self._octets)
        if missing > 0:
            self._octets.extend(bytes(missing + -(max(found) + 1) % self.stride))
        return found

    def at(self, places: Sequence[int]) -> bytes:
        """Return the octets at some places."""
        octets = self._octets
        return bytes([octets[place] for place in places])

    def put(self, places: Sequence[int], octet: int) -> None:
        """Set the octets at some places."""
        octets = self._octets
        for place in places:
            octets[place] = octet

    def segments_in(self, index: int, stage: Stage) -> list[int]:
        """Return the segments of a message that are in ``stage`` by an answer."""
        return [
            segment
            for segment in range(1, self.stride + 1)
            if (octet := self.get(index, segment)) & _STAGE == stage and not octet & EARLY
        ]

    def _widen(self, stride: int) -> None:
        rows = -(-len(self._octets) // self.stride)
        wide = bytearray(rows * stride)
        for row in range(rows):
            old = self._octets[row * self.stride : (row + 1) * self.stride]
            wide[row * stride : row * stride + len(old)] = old
        self.stride, self._octets = stride, wide


def stage_of(octet: int) -> Stage:
    """Return the stage in an octet."""
    return _STAGES[octet & _STAGE]
