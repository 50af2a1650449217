"""From a message of a chunk to the submits of its segments, as one link wants them.  Pure.

The reference of a long message is derived from the message's id: a resend carries the same one, so the phone joins it with what
arrived before.
"""

from __future__ import annotations

from carrier.dialect import Dialect
from carrier.model import Submit
from contracts.chunk import Chunk
from contracts.lanes import Lane
from dispatch.domain.linkconfig import LinkConfig
from smstext import Coding, TextError, choose, reference_of, single, split

CHINA = "86"


class Writer:
    """Makes submits for one link; keep one per link, it caches nothing but settings."""

    def __init__(self, link: LinkConfig, made: Dialect) -> None:
        """``made`` is the link's dialect."""
        self._codings = made.codings
        self._gsm7 = "gsm7" in made.codings
        self._plain = made.codings.get("gsm7") == 0 and made.codings.get("ucs2") == 8
        self._national = link.numbers == "national"
        self._width = 16 if link.long == "udh16" else 8
        self._header = link.long != "fields"

    def submits(self, chunk: Chunk, index: int) -> tuple[Submit, ...]:
        """Return one submit per segment.  Raises `smstext.TextError` when the text cannot be written on this link."""
        text = chunk.text_of(index)
        number = str(chunk.recipients[index])
        if self._national and number.startswith(CHINA):
            number = number[2:]
        port = chunk.entry_of(index).port
        priority = 1 if chunk.lane is Lane.VERIFICATION else 0
        if self._plain:
            simple = single(text)
            if simple is not None:
                coding, content = simple
                return (
                    Submit(source=port, destination=number, content=content, data_coding=coding, priority=priority),
                )
        return self._long(chunk.chunk_id, index, text, port, number, priority)

    def _long(self, chunk_id: str, index: int, text: str, port: str, number: str, priority: int) -> tuple[Submit, ...]:
        coding = choose(text) if self._gsm7 else choose(text, narrow=Coding.ASCII)
        data_coding = self._codings.get(coding.value)
        if data_coding is None:
            coding = Coding.UCS2
            data_coding = self._codings["ucs2"]
        reference = reference_of(chunk_id, index, width=self._width)
        cut = split(text, coding, reference=reference, width=self._width, header=self._header)
        return tuple(
            Submit(
                source=port,
                destination=number,
                content=content,
                data_coding=data_coding,
                udhi=cut.udhi,
                priority=priority,
                part_reference=reference if cut.total > 1 else 0,
                part_total=cut.total,
                part_number=place,
            )
            for place, content in enumerate(cut.payloads, 1)
        )


__all__ = ["TextError", "Writer"]
