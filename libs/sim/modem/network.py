"""The network behind all simulated modems: what they sent, counted as phones see it, and the PDUs it brings back.

Pure: wall time is an argument.  A phone knows a modem by its card's number, which is not the sender's choice; so the
same text to the same recipient is the same message whichever modem sends it, and parts join only when one modem sent all.
"""

from __future__ import annotations

import time
from typing import Final

import msgspec

from gsm import (
    Command,
    Deliver,
    Options,
    StatusReport,
    Submit,
    Timestamp,
    address_of,
    decode_user_data,
)
from gsm import parts as gsm_parts
from gsm.address import encode_centre
from gsm.layout import encode
from sim.carrier.stats import Received, Stats

CENTRE: Final = "+8613800571500"
TEXT, OCTETS = 8, 4
"""How content is counted: as UTF-16 whatever alphabet it came in, or as octets."""

COUNTERS: Final = (
    "commands",
    "refused_commands",
    "submits",
    "accepted",
    "rejected",
    "unanswered",
    "receipts_sent",
    "receipts_answered",
    "receipts_waiting",
    "receipts_unrouted",
    "mo_sent",
    "mo_answered",
    "stored",
    "storage_full",
    "not_confirmed",
    "reboots",
    "disconnects",
    "garbage",
    "overrun",
)
"""Counters of a modem and, summed, of the pool."""


class Incoming(msgspec.Struct, frozen=True, gc=False):
    """A PDU for a modem: with its service centre in front, as PDU mode shows it."""

    centre: bytes
    tpdu: bytes
    report: bool
    message_class: int | None = None


class Network:
    """One network with one service centre."""

    def __init__(self) -> None:
        self.stats = Stats(COUNTERS)
        self._reference = 0

    def sent(self, number: str, submit: Submit) -> None:
        """Count a message that the modem of card `number` sent."""
        recipient = submit.tp_da.number
        data = decode_user_data(submit.tp_udl, submit.tp_ud, submit.tp_dcs, has_header=bool(submit.tp_udhi))
        content = data.content if data.text is None else data.text.encode("utf-16-be", "surrogatepass")
        coding = OCTETS if data.text is None else TEXT
        concat = data.header.concat if data.header is not None else None
        joined: bytes | None = content
        if concat is None:
            self.stats.message("", recipient, content, coding)
        else:
            part = (concat.reference, concat.total, concat.index)
            joined = self.stats.segment("", recipient, content, coding, part, by=number)
        if joined is not None:
            segments = 1 if concat is None else concat.total
            self.stats.samples.append(Received(number, recipient, joined, coding, segments, number))

    def report(self, reference: int, sent: Submit | Command, state: int, wall: float) -> Incoming:
        """Build a status report; `reference` is the TP-MR that the modem gave the message."""
        stamp = stamp_of(wall)
        report = StatusReport(
            tp_srq=int(isinstance(sent, Command)),
            tp_mr=reference,
            tp_ra=sent.tp_da,
            tp_scts=stamp,
            tp_dt=stamp,
            tp_st=state,
        )
        return Incoming(encode_centre(address_of(CENTRE)), encode(report), report=True)

    def message(self, sender: str, text: str, wall: float, message_class: int | None = None) -> list[Incoming]:
        """Build the DELIVERs of a message from a phone; raises `GsmError` for what no message can carry."""
        self._reference = (self._reference + 1) & 0xFF
        centre = encode_centre(address_of(CENTRE))
        address = address_of(sender)
        incoming = []
        for part in gsm_parts(text, Options(reference=self._reference, message_class=message_class)):
            deliver = Deliver(
                tp_oa=address,
                tp_scts=stamp_of(wall),
                tp_dcs=part.tp_dcs,
                tp_udhi=part.tp_udhi,
                tp_udl=part.tp_udl,
                tp_ud=part.tp_ud,
            )
            incoming.append(Incoming(centre, encode(deliver), report=False, message_class=message_class))
        return incoming

    def samples(self, limit: int) -> list[Sample]:
        """Return the latest messages as phones show them, newest first."""
        return [
            Sample(
                found.sender,
                found.recipient,
                found.content.hex() if found.data_coding == OCTETS else found.content.decode("utf-16-be", "replace"),
                found.segments,
            )
            for found in list(self.stats.samples)[-limit:][::-1]
        ]


class Sample(msgspec.Struct, frozen=True):
    """One message as the phone shows it; octets as hexadecimal digits."""

    sender: str
    recipient: str
    text: str
    segments: int


def stamp_of(wall: float) -> Timestamp:
    """Return China's time at `wall` (Unix seconds)."""
    moment = time.gmtime(wall + 8 * 3600)
    return Timestamp(
        moment.tm_year % 100, moment.tm_mon, moment.tm_mday, moment.tm_hour, moment.tm_min, moment.tm_sec, 32
    )
