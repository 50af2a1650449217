"""Integers of variable length and a cursor that raises the declared error: what WBXML and WSP have in common."""

from typing import Final

from wappush.faults import PushError

_MOST_DIGITS: Final = 5  # 32 bits (WAP-192 clause 5.1, WAP-230 clause 8.1.2)


def uintvar(value: int) -> bytes:
    """A number as groups of seven bits, the highest first, bit 7 set on all but the last."""
    if not 0 <= value < 1 << 32:
        raise PushError("number_too_large")
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(0x80 | value & 0x7F)
    return bytes(reversed(out))


class Reader:
    """Reads forward only."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def octet(self, field: str = "") -> int:
        """The next octet."""
        return self.take(1, field)[0]

    def take(self, count: int, field: str = "") -> bytes:
        """The next `count` octets."""
        end = self.at + count
        if end > len(self.data):
            raise PushError("truncated", len(self.data), field)
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def uintvar(self, field: str = "") -> int:
        """The next number of variable length."""
        start = self.at
        value = 0
        for _ in range(_MOST_DIGITS):
            octet = self.octet(field)
            value = value << 7 | octet & 0x7F
            if octet < 0x80:
                return value
        raise PushError("number_too_large", start, field)

    def string(self, field: str = "") -> bytes:
        """Octets up to a zero, which is taken too."""
        end = self.data.find(0, self.at)
        if end < 0:
            raise PushError("truncated", len(self.data), field)
        taken = self.data[self.at : end]
        self.at = end + 1
        return taken

    def left(self) -> int:
        """How many octets remain."""
        return len(self.data) - self.at
