"""A fuzzer's octets read as a program: small choices, then whatever is left. It never ends early, it yields zeros."""

from __future__ import annotations


class Script:
    """A cursor over the input."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    @property
    def more(self) -> bool:
        return self.at < len(self.data)

    def octet(self) -> int:
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def take(self, count: int) -> bytes:
        taken = self.data[self.at : self.at + count]
        self.at += count
        return taken

    def block(self) -> bytes:
        """A length of one octet (above 250: five times as much), then that many octets."""
        length = self.octet()
        return self.take(length if length <= 250 else length * 5)

    def rest(self) -> bytes:
        return self.take(len(self.data))
