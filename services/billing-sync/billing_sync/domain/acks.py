"""The billing system's acknowledgement of a file: `<file name>.ack`, one line `OK|records|sum` or `ERR|code|text`,
then bad lines.

After `ERR` each further line is `line number|reason`.  Anything else is itself malformed and refused with a reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

MAX_OCTETS = 4 * 1024 * 1024
MAX_BAD_LINES = 10_000
SUFFIX = ".ack"


class AckError(ValueError):
    """The acknowledgement cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Ack:
    """What the billing system says of a file."""

    accepted: bool
    records: int = 0
    total: Decimal = Decimal(0)
    reason: str = ""
    bad_lines: tuple[tuple[int, str], ...] = ()


def parse(octets: bytes) -> Ack:
    """Return the acknowledgement; raises `AckError`."""
    if len(octets) > MAX_OCTETS:
        raise AckError(f"{len(octets)} octets, at most {MAX_OCTETS}")
    lines = octets.decode("utf-8", "replace").splitlines()
    fields = lines[0].strip().split("|") if lines else []
    if len(fields) == 3 and fields[0] == "OK":
        try:
            records, total = int(fields[1]), Decimal(fields[2])
        except (ValueError, InvalidOperation) as error:
            raise AckError("OK needs a count and a sum") from error
        if not total.is_finite():
            raise AckError("the sum is no number")
        return Ack(accepted=True, records=records, total=total)
    if len(fields) == 3 and fields[0] == "ERR":
        bad = tuple(_bad_line(line) for line in lines[1 : MAX_BAD_LINES + 1] if line.strip())
        return Ack(accepted=False, reason=f"{fields[1]}: {fields[2]}"[:400], bad_lines=bad)
    raise AckError("the first line is neither OK|records|sum nor ERR|code|text")


def _bad_line(line: str) -> tuple[int, str]:
    number, bar, reason = line.strip().partition("|")
    if not bar or not number.isascii() or not number.isdigit() or len(number) > 9:
        raise AckError("a bad line is not number|reason")
    return int(number), reason[:400]
