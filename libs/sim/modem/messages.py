"""What a modem does on commands about messages (TS 27.005): settings, sending, storages, confirming.

Pure; one function a command, found by name in `MESSAGES`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from gsm import Command, GsmError, Submit, octets_of
from gsm.address import decode_centre
from gsm.layout import decode, encode
from gsm.reader import Reader
from sim.modem import storage, textmode
from sim.modem.calls import INVALID_PDU, INVALID_TEXT, OK, Call, Refused, Reply
from sim.modem.network import CENTRE
from sim.modem.settings import Notify, TextParameters
from sim.modem.storage import Storage, Stored

if TYPE_CHECKING:
    from sim.modem.device import Device, Handler

INVALID_INDEX, MEMORY_FULL, NOT_ALLOWED, NOT_EXPECTED = 321, 322, 302, 340
_Submits = Callable[[Submit], None]
_LEAST_TPDU, _MOST_TPDU = 7, 164  # octets of a SUBMIT (TS 23.040 clause 9.2.2.2)


def _format(device: Device, call: Call) -> Reply:
    if call.form == "set":
        device.settings.text_mode = call.number(0, 0, most=1) == 1
        return OK
    return Reply((f"+CMGF: {'(0,1)' if call.form == 'test' else int(device.settings.text_mode)}",))


def _service(device: Device, call: Call) -> Reply:
    levels = "(0,1)" if device.faults.phase_2_plus else "(0)"
    if call.form == "test":
        return Reply((f"+CSMS: {levels}",))
    if call.form == "read":
        return Reply((f"+CSMS: {device.settings.service},1,1,1",))
    if call.number(0, most=127) > int(device.faults.phase_2_plus):
        raise Refused("CMS", 303)
    device.settings.service = call.number(0)
    return Reply(("+CSMS: 1,1,1",))


def _centre(device: Device, call: Call) -> Reply:
    device.card.demand(device.faults.card, "CMS")
    if call.form == "test":
        return OK
    if call.form == "set":
        number = call.text(0)
        if device.settings.alphabet == "UCS2" and re.fullmatch(r"(?:00[23][0-9B])+", number):
            number = bytes.fromhex(number).decode("utf-16-be")
        if not re.fullmatch(r"\+?\d{1,20}", number, re.ASCII):
            raise Refused("CMS", INVALID_TEXT)
        device.centre = number
        return OK
    number = device.centre or CENTRE
    return Reply((f'+CSCA: "{textmode.shown(number, device.settings.alphabet)}",{145 if number[0] == "+" else 129}',))


def _storages(device: Device, call: Call) -> Reply:
    device.card.demand(device.faults.card, "CMS")
    if call.form == "test":
        places = "(" + ",".join(f'"{name}"' for name in storage.NAMES) + ")"
        return Reply((f"+CPMS: {places},{places},{places}",))
    chosen = list(device.settings.storages)
    if call.form == "set":
        for at in range(3):
            name = call.text(at, chosen[at])
            if name not in storage.NAMES:
                raise Refused("CMS", INVALID_TEXT)
            chosen[at] = name
        device.settings.storages = (chosen[0], chosen[1], chosen[2])
        return Reply(("+CPMS: " + ",".join(_filled(device, name) for name in chosen),))
    return Reply(("+CPMS: " + ",".join(f'"{name}",{_filled(device, name)}' for name in chosen),))


def _filled(device: Device, name: str) -> str:
    return f"{len(device.storages[name].messages)},{device.faults.slots}"


def _notify(device: Device, call: Call) -> Reply:
    routes = {"both": (0, 1, 2), "direct": (0, 1), "stored": (0, 2), "none": (0,)}[device.faults.report_routes]
    if call.form == "test":
        return Reply((f"+CNMI: (0-3),(0-3),(0),({','.join(map(str, routes))}),(0,1)",))
    now = device.settings.notify
    if call.form == "read":
        return Reply((f"+CNMI: {now.mode},{now.messages},{now.broadcasts},{now.reports},{now.buffer}",))
    told = Notify(
        call.number(0, 0, most=3), call.number(1, 0, most=3), call.number(2, 0), call.number(3, 0), call.number(4, 0)
    )
    if told.broadcasts or told.reports not in routes or told.buffer > 1:
        raise Refused("CMS", 303)
    device.settings.notify = told
    device.told_again()
    return OK


def _parameters(device: Device, call: Call) -> Reply:
    if call.form == "test":
        return OK
    now = device.settings.text
    if call.form == "set":
        device.settings.text = TextParameters(
            call.number(0, now.first, most=255),
            call.number(1, now.validity, most=255),
            call.number(2, now.pid, most=255),
            call.number(3, now.dcs, most=255),
        )
        return OK
    return Reply((f"+CSMP: {now.first},{now.validity},{now.pid},{now.dcs}",))


def _headers(device: Device, call: Call) -> Reply:
    if call.form == "set":
        device.settings.headers = call.number(0, most=1) == 1
        return OK
    return Reply((f"+CSDH: {'(0,1)' if call.form == 'test' else int(device.settings.headers)}",))


def _alphabet(device: Device, call: Call) -> Reply:
    if call.form == "test":
        return Reply(("+CSCS: (" + ",".join(f'"{name}"' for name in textmode.ALPHABETS) + ")",))
    if call.form == "read":
        return Reply((f'+CSCS: "{device.settings.alphabet}"',))
    if call.text(0) not in textmode.ALPHABETS:
        raise Refused("CMS", INVALID_TEXT)
    device.settings.alphabet = call.text(0)
    return OK


def _keep_link(device: Device, call: Call) -> Reply:
    if call.form == "set":
        call.number(0, most=2)
        return OK
    return Reply((f"+CMMS: {'(0-2)' if call.form == 'test' else 0}",))


# -- sending ---------------------------------------------------------------------------------------------------------


def _send(device: Device, call: Call) -> Reply:
    if call.form != "set":
        return OK
    device.card.demand(device.faults.card, "CMS")
    if device.settings.text_mode:
        return _ask_text(device, call, lambda pdu: device.send(pdu, "+CMGS"))
    length = _announced(call)
    return device.prompt(lambda body: device.send(_submit(body, length), "+CMGS"))


def _command(device: Device, call: Call) -> Reply:
    if call.form != "set":
        return OK
    device.card.demand(device.faults.card, "CMS")
    length = _announced(call)

    def then(body: bytes) -> None:
        pdu = _pdu(body, length)
        if not isinstance(pdu, Command):
            raise Refused("CMS", INVALID_PDU)
        device.send(pdu, "+CMGC")

    return device.prompt(then)


def _write(device: Device, call: Call) -> Reply:
    """Store a message of the computer's: to be sent, or of any state in PDU mode."""
    if call.form != "set":
        return OK
    device.card.demand(device.faults.card, "CMS")
    if device.settings.text_mode:
        return _ask_text(device, call, lambda pdu: _keep(device, Stored(b"\0", encode(pdu), storage.UNSENT)))
    length = _announced(call)
    state = call.number(1, storage.UNSENT, most=3)

    def then(body: bytes) -> None:
        centre, tpdu = _cut(body, length)
        _keep(device, Stored(centre, tpdu, state))

    return device.prompt(then)


def _keep(device: Device, message: Stored) -> None:
    place = device.storages[device.settings.storages[1]]
    place.slots = device.faults.slots
    index = place.put(message)
    if index is None:
        raise Refused("CMS", MEMORY_FULL)
    device.answer([f"+CMGW: {index}", "OK"], device.faults.command_ms / 1000)


def _send_stored(device: Device, call: Call) -> Reply:
    if call.form != "set":
        return OK
    stored = _find(device.storages[device.settings.storages[1]], call.number(0))
    pdu = textmode.parsed(stored.tpdu, ours=True)
    if stored.state not in {storage.UNSENT, storage.SENT} or not isinstance(pdu, Submit):
        raise Refused("CMS", NOT_ALLOWED)
    device.send(pdu, "+CMSS")
    stored.state = storage.SENT
    return Reply(done=False)


def _ask_text(device: Device, call: Call, then: _Submits) -> Reply:
    settings = device.settings
    number = call.text(0)
    try:
        number = textmode.taken(number.encode("latin-1"), settings.alphabet) if settings.alphabet == "UCS2" else number
    except ValueError:
        raise Refused("CMS", INVALID_TEXT) from None
    kind = call.number(1, most=255) if call.text(1) else None
    return device.prompt(
        lambda body: then(textmode.submit(number, kind, body.strip(b"\r\n"), settings.text, settings.alphabet))
    )


def _announced(call: Call) -> int:
    length = call.number(0)
    if not _LEAST_TPDU <= length <= _MOST_TPDU:
        raise Refused("CMS", INVALID_PDU)
    return length


def _cut(body: bytes, length: int) -> tuple[bytes, bytes]:
    """(service centre, TPDU) of what was written; raises `Refused` when they are not as announced."""
    try:
        octets = octets_of(re.sub(rb"[\r\n ]", b"", body).decode("latin-1"))
        reader = Reader(octets)
        decode_centre(reader)
    except GsmError:
        raise Refused("CMS", INVALID_PDU) from None
    if reader.left() != length:
        raise Refused("CMS", INVALID_PDU)
    return octets[: reader.at], octets[reader.at :]


def _pdu(body: bytes, length: int) -> object:
    try:
        pdu, trailing = decode(_cut(body, length)[1], to_phone=False)
    except GsmError:
        raise Refused("CMS", INVALID_PDU) from None
    if trailing:
        raise Refused("CMS", INVALID_PDU)
    return pdu


def _submit(body: bytes, length: int) -> Submit:
    pdu = _pdu(body, length)
    if not isinstance(pdu, Submit):
        raise Refused("CMS", INVALID_PDU)
    return pdu


# -- storages and confirming -----------------------------------------------------------------------------------------


def _find(place: Storage, index: int) -> Stored:
    if index not in place.messages:
        raise Refused("CMS", INVALID_INDEX)
    return place.messages[index]


def _list(device: Device, call: Call) -> Reply:
    settings = device.settings
    device.card.demand(device.faults.card, "CMS")
    if call.form == "test":
        names = ",".join(f'"{name}"' for name in textmode.STATES) if settings.text_mode else "0-4"
        return Reply((f"+CMGL: ({names})",))
    if settings.text_mode:
        if call.text(0, "REC UNREAD") not in textmode.STATES:
            raise Refused("CMS", INVALID_TEXT)
        state = textmode.STATES.index(call.text(0, "REC UNREAD"))
    else:
        state = call.number(0, storage.UNREAD, most=storage.ALL)
    lines: list[str] = []
    for index, stored in device.storages[settings.storages[0]].of_state(state):
        if settings.text_mode:
            lines += textmode.listed(index, stored, settings.alphabet, headers=settings.headers)
        else:
            lines += [f"+CMGL: {index},{stored.state},,{len(stored.tpdu)}", _hexadecimal(stored)]
        _was_read(stored)
    return Reply(tuple(lines))


def _read(device: Device, call: Call) -> Reply:
    if call.form == "test":
        return OK
    device.card.demand(device.faults.card, "CMS")
    settings = device.settings
    stored = _find(device.storages[settings.storages[0]], call.number(0))
    if settings.text_mode:
        lines = textmode.read(stored, settings.alphabet, headers=settings.headers)
    else:
        lines = [f"+CMGR: {stored.state},,{len(stored.tpdu)}", _hexadecimal(stored)]
    _was_read(stored)
    return Reply(tuple(lines))


def _delete(device: Device, call: Call) -> Reply:
    if call.form == "test":
        return Reply(("+CMGD: (1-1000),(0-4)",))
    device.card.demand(device.faults.card, "CMS")
    place = device.storages[device.settings.storages[0]]
    gone = place.delete(call.number(0), call.number(1, 0, most=4))
    if gone is None:
        raise Refused("CMS", INVALID_INDEX)
    device.arrivals.deleted(gone)
    return OK


def _confirm(device: Device, call: Call) -> Reply:
    if call.form == "test":
        return Reply(("+CNMA: (0-2)",))
    if call.text(1):
        raise Refused("CMS", 303)  # a report of one's own is not taken
    if not device.settings.service or not device.arrivals.confirm(positive=call.number(0, 0, most=2) != 2):
        raise Refused("CMS", NOT_EXPECTED)
    return OK


def _hexadecimal(stored: Stored) -> str:
    return (stored.centre + stored.tpdu).hex().upper()


def _was_read(stored: Stored) -> None:
    if stored.state == storage.UNREAD:
        stored.state = storage.READ


MESSAGES: Final[dict[str, Handler]] = {
    "+CMGF": _format,
    "+CSMS": _service,
    "+CSCA": _centre,
    "+CPMS": _storages,
    "+CNMI": _notify,
    "+CSMP": _parameters,
    "+CSDH": _headers,
    "+CSCS": _alphabet,
    "+CMMS": _keep_link,
    "+CMGS": _send,
    "+CMGC": _command,
    "+CMGW": _write,
    "+CMSS": _send_stored,
    "+CMGL": _list,
    "+CMGR": _read,
    "+CMGD": _delete,
    "+CNMA": _confirm,
}
