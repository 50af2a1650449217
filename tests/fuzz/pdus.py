"""Single PDUs of the carrier protocols: the exact path, the fast paths and each against the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from fuzz.script import Script

from carrier.dialect import Dialect, Kind
from carrier.errors import CarrierError
from carrier.model import Mo, Report, Role, Submit

FIELDS = {
    "smpp34": ("source_addr", "destination_addr", "short_message", "data_coding"),
    "cmpp20": ("Src_Id", "Dest_terminal_Id", "Msg_Content", "Msg_Fmt"),
    "cmpp30": ("Src_Id", "Dest_terminal_Id", "Msg_Content", "Msg_Fmt"),
    "sgip12": ("SPNumber", "UserNumber", "MessageContent", "MessageCoding"),
    "smgp30": ("SrcTermID", "DestTermID", "MsgContent", "MsgFormat"),
}
"""Sender, recipients, content, coding of a submit under each standard's own names."""


def compose(made: Dialect, command: int, sequence: int, body: bytes, status: int = 0) -> bytes:
    """A frame whose header is true."""
    head = (made.header_size + len(body)).to_bytes(4, "big") + command.to_bytes(4, "big")
    if made.codec.header.status:
        head += status.to_bytes(4, "big")
    width = made.header_size - len(head)
    return head + (sequence & ((1 << 8 * width) - 1)).to_bytes(width, "big") + body


def commands(made: Dialect) -> list[int]:
    return sorted(made.codec.pdus)


def check_frame(made: Dialect, script: Script) -> None:
    """Octets as they are, or as the body of a command with a true header."""
    chosen = script.octet()
    known = commands(made)
    if chosen == 255:
        frame = script.rest()
    else:
        status = script.octet() if made.codec.header.status else 0
        frame = compose(made, known[chosen % len(known)], 7, script.rest(), status)
    shown = read(made.decode, frame)
    if shown is not None:
        check_identity(made, frame, shown)
    if len(frame) >= made.header_size and int.from_bytes(frame[:4], "big") == len(frame):
        check_fast_paths(made, frame, shown)


def read(reader: Callable[[bytes], Any], frame: bytes) -> Any:
    """What a reader makes of ``frame``; None for the declared error, whose offset must lie in the frame."""
    try:
        return reader(frame)
    except CarrierError as error:
        assert 0 <= error.offset <= len(frame), f"offset {error.offset} of {len(frame)}"
        return None


def check_identity(made: Dialect, frame: bytes, shown: Mapping[str, Any]) -> None:
    """Encoding gives the octets back, but for what the dictionary does not keep: octets behind the NUL of a fixed
    field, and the places of a parameter that stands there twice. Strict encoding may refuse what was read leniently.
    """
    assert json.loads(json.dumps(shown)) == shown
    try:
        again = made.encode(shown)
    except CarrierError:
        return
    assert len(again) == len(frame)
    assert made.decode(again) == shown
    if not any(isinstance(value, list) for name, value in shown.items() if name not in FIELDS[made.name]):
        assert all(new in (old, 0) for old, new in zip(frame, again, strict=True)), "octets changed"


def check_fast_paths(made: Dialect, frame: bytes, shown: Mapping[str, Any] | None) -> None:
    number = int.from_bytes(frame[4:8], "big")
    lenient = bool(getattr(getattr(made, "settings", None), "lenient_tail", False))
    kinds = {made.kinds(role).get(number) for role in Role}
    if Kind.SUBMIT in kinds:
        submit = read(made.read_submit, frame)
        assert submit is None or shown is not None or lenient, "the fast path reads what the exact one refuses"
        if submit is not None and shown is not None:
            check_submit(made, submit, shown)
    if Kind.DELIVER in kinds:
        item = read(made.read_deliver, frame)
        assert item is None or shown is not None or lenient, "the fast path reads what the exact one refuses"
        if item is not None:
            assert item.raw == frame
            check_deliver(made, item)
    if Kind.BIND in kinds:
        request = read(made.read_bind, frame)
        if request is not None:
            made.check_bind(request, "secret", 1.8e9)
            read(made.decode, made.bind_answer(request, 0, "secret"))
    if Kind.BIND_ANSWER in kinds:
        answer = read(made.read_bind_answer, frame)
        if answer is not None:
            made.trusts(answer, bytes(64), "secret")
            made.refusal(answer.status)
    if kinds & {Kind.SUBMIT_ANSWER, Kind.DELIVER_ANSWER}:
        answer = read(made.read_answer, frame)
        if answer is not None:
            made.outcome(answer[0])
            made.status_name(answer[0])
    if Kind.NACK in kinds:
        read(made.read_nack, frame)
    if Kind.INVITATION in kinds:
        read(made.read_invitation, frame)


def check_submit(made: Dialect, submit: Submit, shown: Mapping[str, Any]) -> None:
    source, recipients, content, coding = FIELDS[made.name]
    assert submit.source == shown[source]
    assert submit.data_coding == shown[coding]
    if shown.get(content):
        assert submit.content.hex() == shown[content]
    numbers = shown.get(recipients, [submit.destination])
    numbers = numbers if isinstance(numbers, list) else [numbers]
    assert [submit.destination, *submit.more_destinations] == numbers or "dest_address" in shown
    repr(submit)
    try:
        again = made.submit(submit, 7)
    except CarrierError:
        return
    assert made.read_submit(again) == submit, "a submit that was read is written differently"


def check_deliver(made: Dialect, item: Report | Mo) -> None:
    repr(item)
    try:
        again = made.deliver(item, 7)
    except CarrierError:
        return
    back = made.read_deliver(again)
    assert type(back) is type(item)
    if isinstance(item, Mo) and isinstance(back, Mo):
        assert (back.source, back.content, back.udhi) == (item.source, item.content, item.udhi)
