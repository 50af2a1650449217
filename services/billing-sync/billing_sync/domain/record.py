r"""The charging file: its lines, its name, and the rule that its octets are a pure function of the rows behind it.

Lines end with LF, fields are parted by `|`; in free text `|`, backslash, CR and LF are written `\p`, `\\`, `\r`, `\n`.
Times are local time of the node (`TIME_ZONE`) as yyyymmddhhmmss.  docs/billing.md describes every field.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import lru_cache

FORMAT = "GXCDR"
VERSION = "1.0"
TIME_ZONE = timezone(timedelta(hours=8))
"""China Standard Time: no daylight saving, so a fixed offset is exact."""

ENCODINGS = ("utf-8", "gb18030")

_ESCAPES = str.maketrans({"\\": "\\\\", "|": "\\p", "\r": "\\r", "\n": "\\n"})


@dataclass(frozen=True, slots=True)
class Record:
    """One segment that closed."""

    segment_id: str
    tenant: str
    enterprise: str
    lane: str
    task_id: str
    ref: str
    sender: str
    recipient: int
    carrier: str
    link: str
    protocol: str
    carrier_id: str
    segment: int
    total: int
    submitted_at: int
    done_at: int
    state: str
    code: str
    fee_type: str
    fee_code: str
    tariff: str
    amount: Decimal
    marked: bool


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a file before its records."""

    no: int
    node: str
    begin: int
    """Interval in which the records closed, [begin, end), Unix ms."""
    end: int
    encoding: str = "utf-8"

    @property
    def name(self) -> str:
        """Type, node, date, time and sequence number."""
        return f"{FORMAT}_{self.node}_{_stamp(self.end)[:8]}_{_stamp(self.end)[8:]}_{self.no:08d}.txt"


@dataclass(frozen=True, slots=True)
class Built:
    """A file's octets and what its row says of them."""

    octets: bytes
    records: int
    total: Decimal
    sha256: bytes


def build(head: Head, records: Sequence[Record]) -> Built:
    """Return the file of these records: the same octets for the same arguments, always."""
    total = sum((record.amount for record in records), Decimal(0))
    lines = [
        "|".join(
            ("10", FORMAT, VERSION, head.node, str(head.no), _stamp(head.begin), _stamp(head.end), str(len(records)))
        ),
        *(_line(number, record) for number, record in enumerate(records, 1)),
        "|".join(("90", str(head.no), str(len(records)), format(total, "f"))),
    ]
    # A name a caller chose may hold what GB18030 can always write; UTF-8 refuses lone surrogates, which no text of
    # ours has.
    octets = ("\n".join(lines) + "\n").encode(head.encoding, "replace")
    return Built(octets, len(records), total, hashlib.sha256(octets).digest())


def _line(number: int, record: Record) -> str:
    return "|".join((
        "20",
        str(number),
        record.segment_id,
        _free(record.tenant),
        _free(record.enterprise),
        record.lane,
        record.task_id,
        _free(record.ref),
        _free(record.sender),
        str(record.recipient),
        record.carrier,
        _free(record.link),
        record.protocol,
        _free(record.carrier_id),
        str(record.segment),
        str(record.total),
        _stamp(record.submitted_at),
        _stamp(record.done_at) if record.done_at else "",
        record.state,
        _free(record.code),
        record.fee_type,
        _free(record.fee_code),
        _free(record.tariff),
        format(record.amount, "f"),
        "R" if record.marked else "",
    ))  # fmt: skip


def _free(text: str) -> str:
    return text.translate(_ESCAPES)


def _stamp(epoch_ms: int) -> str:
    return _stamp_of_second(epoch_ms // 1000)


@lru_cache(maxsize=16_384)
def _stamp_of_second(epoch_s: int) -> str:
    # A file's records share a few hundred seconds, and formatting one costs more than the rest of the line.
    return datetime.fromtimestamp(epoch_s, UTC).astimezone(TIME_ZONE).strftime("%Y%m%d%H%M%S")
