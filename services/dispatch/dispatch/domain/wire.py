"""From a message of a chunk to the submits of its segments, as one link wants them.  Pure.

The reference of a long message is derived from the message's id: a resend carries the same one, so the phone joins it with what
arrived before.
"""

from __future__ import annotations

from operator import itemgetter

from msgspec.structs import replace

from carrier.dialect import Dialect
from carrier.model import Submit
from contracts.chunk import Chunk, Entry
from contracts.lanes import Lane
from dispatch.domain.linkconfig import ALPHABETS, LinkConfig
from smstext import DATA_CODING, LIMITS, Coding, TextError, choose, is_gsm, reference_of, single, split

CHINA = "86"
UCS2 = DATA_CODING[Coding.UCS2]
ROOM = LIMITS[Coding.UCS2].single


class _Run:
    """What the messages of one entry share, looked at once: a bulk chunk is one entry of hundreds."""

    __slots__ = ("chunk", "end", "first", "form", "pick", "port", "same", "variables", "wide")

    def __init__(self, chunk: Chunk, entry: Entry) -> None:
        self.chunk = chunk
        self.first = entry.first
        self.end = entry.first + entry.count
        self.port = entry.port
        self.variables = entry.variables
        self.wide = not is_gsm("".join(entry.pieces))
        """Whether the text needs UCS2 whatever its values are."""
        self.form = "%s".join([piece.replace("%", "%%") for piece in entry.pieces])
        self.pick = itemgetter(*entry.slots) if entry.slots else None
        self.same = b"" if entry.slots else wide(entry.pieces[0])
        """The content of every message where there are no values, empty when it is not one short message in UCS2."""

    def content(self, index: int) -> bytes:
        """Return the content of a message that is one short message in UCS2, empty for any other."""
        if self.pick is None:
            return self.same
        return wide(self.form % self.pick(self.variables[index - self.first]))


def wide(text: str) -> bytes:
    """Return the text in UCS2, empty when it is no such text or longer than one short message."""
    try:
        content = text.encode("utf-16-be")
    except UnicodeEncodeError:
        return b""
    return content if len(content) <= ROOM else b""


class Writer:
    """Makes submits for one link; keep one per link, it remembers the run it is in."""

    def __init__(self, link: LinkConfig, made: Dialect) -> None:
        """``made`` is the link's dialect."""
        self._codings = made.codings
        self._narrow = Coding.GSM7 if "gsm7" in made.codings else Coding.ASCII
        self._wide = Coding(ALPHABETS[link.alphabet] or "ucs2")
        # `single` writes 0 for the narrow alphabet and 8 for UCS2: the second means the same in every protocol.
        self._plain = self._narrow is Coding.GSM7 and made.codings.get("gsm7") == 0
        self._plain_wide = self._wide is Coding.UCS2 and made.codings.get("ucs2") == UCS2
        self._ascii = replace(LIMITS[Coding.ASCII], single=made.longest_ascii)
        self._receipts = link.receipts
        self._national = link.numbers == "national"
        self._width = 16 if link.long == "udh16" else 8
        self._header = link.long != "fields"
        self._run: _Run | None = None

    def submits(self, chunk: Chunk, index: int) -> tuple[Submit, ...]:
        """Return one submit per segment.  Raises `smstext.TextError` when the text cannot be written on this link."""
        number = str(chunk.recipients[index])
        if self._national and number.startswith(CHINA):
            number = number[2:]
        priority = 1 if chunk.lane is Lane.VERIFICATION else 0
        run = self._run
        if run is None or run.chunk is not chunk or not run.first <= index < run.end:
            entry = chunk.entry_of(index)
            run = self._run = _Run(chunk, entry) if entry.count > 1 else None
            port = entry.port
        else:
            port = run.port
        if run is not None and run.wide and self._plain_wide:
            content = run.content(index)
            if content:
                return (Submit(port, number, content, UCS2, False, self._receipts, priority),)
        text = chunk.text_of(index)
        simple = single(text)
        if simple is not None:
            coding, content = simple
            if self._plain_wide if coding == UCS2 else self._plain:
                return (
                    Submit(
                        source=port,
                        destination=number,
                        content=content,
                        data_coding=coding,
                        priority=priority,
                        wants_report=self._receipts,
                    ),
                )
        return self._long(chunk.chunk_id, index, text, port, number, priority)

    def _long(self, chunk_id: str, index: int, text: str, port: str, number: str, priority: int) -> tuple[Submit, ...]:
        coding = choose(text, narrow=self._narrow, wide=self._wide)
        data_coding = self._codings[coding.value]
        reference = reference_of(chunk_id, index, width=self._width)
        limits = self._ascii if coding is Coding.ASCII else None
        cut = split(text, coding, reference=reference, width=self._width, header=self._header, limits=limits)
        return tuple(
            Submit(
                source=port,
                destination=number,
                content=content,
                data_coding=data_coding,
                udhi=cut.udhi,
                priority=priority,
                wants_report=self._receipts,
                part_reference=reference if cut.total > 1 else 0,
                part_total=cut.total,
                part_number=place,
            )
            for place, content in enumerate(cut.payloads, 1)
        )


__all__ = ["TextError", "Writer"]
