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

from billing_sync.domain.columns import one_of

FORMAT = "GXCDR"
VERSION = "1.0"
TIME_ZONE = timezone(timedelta(hours=8))
"""China Standard Time: no daylight saving, so a fixed offset is exact."""

ENCODINGS = ("utf-8", "gb18030")

_ESCAPES = str.maketrans({"\\": "\\\\", "|": "\\p", "\r": "\\r", "\n": "\\n"})


class Answered:
    """The segments of one batch of answers as a file writes them: what all of them share is written once.

    Lists run in parallel; ``senders``, ``task_ids`` and ``refs`` are empty, have one for all, or one each.
    """

    __slots__ = (
        "_carrier_ids",
        "_first",
        "_recipients",
        "_refs",
        "_senders",
        "_shared",
        "_task_ids",
        "_totals",
        "carrier",
        "enterprise",
        "lane",
        "submitted",
        "tariff",
        "tenant",
    )  # fmt: skip

    def __init__(
        self,
        *,
        tenant: str,
        enterprise: str,
        lane: str,
        link: str,
        carrier: str,
        protocol: str,
        at: int,
        tariff: int,
        totals: Sequence[int],
        recipients: Sequence[int],
        senders: Sequence[str],
        carrier_ids: Sequence[str],
        task_ids: Sequence[str],
        refs: Sequence[str],
    ) -> None:
        """``at``: when the carrier answered, Unix ms; ``tariff``: number of the version in force then."""
        self.tenant, self.enterprise, self.lane, self.carrier, self.tariff = tenant, enterprise, lane, carrier, tariff
        self.submitted = _stamp(at)
        self._totals, self._recipients, self._carrier_ids = totals, recipients, carrier_ids
        self._senders, self._task_ids, self._refs = senders, task_ids, refs
        self._first = f"{_free(tenant)}|{_free(enterprise)}|{lane}|"
        self._shared = f"|{carrier}|{_free(link)}|{protocol}|"

    def sender(self, position: int) -> str:
        """Return whom a segment was sent from."""
        return one_of(self._senders, position)

    def fields(self, position: int, segment: int) -> str:
        """Return the line's fields from tenant to the time of submission."""
        return (
            f"{self._first}{one_of(self._task_ids, position)}|{_free(one_of(self._refs, position))}"
            f"|{_free(one_of(self._senders, position))}|{self._recipients[position]}{self._shared}"
            f"{_free(self._carrier_ids[position])}|{segment}|{self._totals[position]}|{self.submitted}|"
        )


class Price:
    """What a segment costs that closed in one way, and the line's fields that say so."""

    __slots__ = ("amount", "fields", "state", "tariff", "text")

    def __init__(self, *, state: str, fee_type: str, fee_code: str, tariff: str, amount: Decimal) -> None:
        self.state = state
        self.tariff = tariff
        self.amount = amount
        self.text = format(amount, "f")
        """The amount in plain digits, as lines and events carry it."""
        self.fields = f"{fee_type}|{_free(fee_code)}|{_free(tariff)}|{self.text}|"


def line(number: int, segment_id: str, opened: str, *, price: Price, done_at: int, code: str, marked: bool) -> str:
    """Return the ``number``-th record, counted from 1; ``opened`` are `Answered.fields`, ``done_at`` Unix ms or 0."""
    done = _stamp(done_at) if done_at else ""
    return f"20|{number}|{segment_id}|{opened}{done}|{price.state}|{_free(code)}|{price.fields}{'R' if marked else ''}"


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


def build(head: Head, lines: Sequence[str], total: Decimal) -> Built:
    """Return the file of these records, whose amounts sum up to ``total``: the same octets for the same arguments, always."""
    first = "|".join(
        ("10", FORMAT, VERSION, head.node, str(head.no), _stamp(head.begin), _stamp(head.end), str(len(lines)))
    )
    last = "|".join(("90", str(head.no), str(len(lines)), format(total, "f")))
    # A name a caller chose may hold what GB18030 can always write; UTF-8 refuses lone surrogates, which no text of
    # ours has.
    octets = ("\n".join([first, *lines, last]) + "\n").encode(head.encoding, "replace")
    return Built(octets, len(lines), total, hashlib.sha256(octets).digest())


def _free(text: str) -> str:
    # Nearly every text is letters and digits, which is known sooner than what to escape.
    return text if text.isalnum() else text.translate(_ESCAPES)


def _stamp(epoch_ms: int) -> str:
    return _stamp_of_second(epoch_ms // 1000)


@lru_cache(maxsize=16_384)
def _stamp_of_second(epoch_s: int) -> str:
    # A file's records share a few hundred seconds, and formatting one costs more than the rest of the line.
    return datetime.fromtimestamp(epoch_s, UTC).astimezone(TIME_ZONE).strftime("%Y%m%d%H%M%S")
