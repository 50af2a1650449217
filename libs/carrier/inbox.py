"""The peer's requests that wait for our answer, and the answers it may ask for again.

A request repeated under its sequence while it waits is dropped: the pending answer serves both. Where a protocol
sends again after a time-out, answers already given are kept, as many as the peer's window, and repeated for an
identical request.
"""

from __future__ import annotations

from enum import Enum, auto


class Arrival(Enum):
    """What a request is, judged by its sequence and octets."""

    NEW = auto()
    PENDING = auto()
    """The same request is already waiting."""
    ANSWERED = auto()
    """The same request was answered: repeat that answer."""
    CONFLICT = auto()
    """Another request under a sequence that is still waiting."""
    FULL = auto()
    """The peer has more requests waiting than its window."""


class Inbox:
    """Bounded by ``window`` requests waiting and as many answers remembered."""

    def __init__(self, window: int, *, remembers: bool) -> None:
        self._window = window
        self._remembers = remembers
        self._frames: dict[int, tuple[int, bytes]] = {}
        self._handles: dict[int, int] = {}
        self._answers: dict[int, tuple[bytes, bytes]] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._frames)

    def judge(self, sequence: int, frame: bytes) -> Arrival:
        handle = self._handles.get(sequence)
        if handle is not None:
            return Arrival.PENDING if self._frames[handle][1] == frame else Arrival.CONFLICT
        if self._remembers:
            known = self._answers.get(sequence)
            if known is not None and known[0] == frame:
                return Arrival.ANSWERED
        return Arrival.FULL if len(self._frames) >= self._window else Arrival.NEW

    def add(self, sequence: int, frame: bytes) -> int:
        """A handle for the request: small integers, never reused on this session."""
        self._last += 1
        self._frames[self._last] = (sequence, frame)
        self._handles[sequence] = self._last
        return self._last

    def take(self, handle: int) -> tuple[int, bytes] | None:
        """Sequence and octets of the request behind ``handle``, which stops waiting; None when it does not wait."""
        request = self._frames.pop(handle, None)
        if request is not None:
            del self._handles[request[0]]
        return request

    def put_back(self, handle: int, request: tuple[int, bytes]) -> None:
        """It waits again: its answer could not be written."""
        self._frames[handle] = request
        self._handles[request[0]] = handle

    def remember(self, sequence: int, frame: bytes, answer: bytes) -> None:
        if not self._remembers:
            return
        self._answers.pop(sequence, None)
        if len(self._answers) >= self._window:
            del self._answers[next(iter(self._answers))]
        self._answers[sequence] = (frame, answer)

    def answer_given(self, sequence: int) -> bytes:
        return self._answers[sequence][1]
