"""Cutting a stream into frames with bounded memory and linear time, whatever the sizes in which it arrives.

At most one incomplete frame is kept, so the buffer never exceeds the dialect's largest frame plus one read; octets
that arrive one by one are appended, not copied, until the length that the frame itself announced is there.
"""

from __future__ import annotations

from carrier.dialect import Dialect

Frame = tuple[int, int, bytes]
"""Command, sequence, octets."""


class FrameBuffer:
    """Feed octets, get whole frames. ``fault`` is set, once and for good, when a length field cannot be true."""

    def __init__(self, dialect: Dialect) -> None:
        self._read_header = dialect.read_header
        self._header_size = dialect.header_size
        self._largest = dialect.largest_frame
        self._rest = bytearray()
        self._needed = 4
        self.fault = ""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames completed by ``data``, up to the first impossible length."""
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return []
            data = bytes(self._rest)
            self._rest.clear()
        frames: list[Frame] = []
        read_header, smallest, largest = self._read_header, self._header_size, self._largest
        position, end = 0, len(data)
        self._needed = smallest
        while end - position >= smallest:
            length, command, sequence = read_header(data, position)
            if not smallest <= length <= largest:
                break
            stop = position + length
            if stop > end:
                self._needed = length
                break
            frames.append((command, sequence, data[position:stop]))
            position = stop
        self._keep(data, position, end)
        return frames

    def _keep(self, data: bytes, position: int, end: int) -> None:
        if position == end:
            return
        if end - position >= 4:
            length = int.from_bytes(data[position : position + 4], "big")
            if not self._header_size <= length <= self._largest:
                self.fault = f"length field says {length}"
                return
        else:
            self._needed = 4
        self._rest += data[position:end]
