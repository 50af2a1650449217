"""A cursor over octets that raises the declared error, with the offset, instead of reading past the end."""

from gsm.faults import GsmError


class Reader:
    """Reads forward only."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def octet(self, field: str) -> int:
        """The next octet."""
        return self.take(1, field)[0]

    def take(self, count: int, field: str) -> bytes:
        """The next `count` octets."""
        end = self.at + count
        if end > len(self.data):
            raise GsmError("truncated", len(self.data), field)
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def left(self) -> int:
        """How many octets remain."""
        return len(self.data) - self.at
