"""What a modem answers to commands that are not about messages: who it is, its card, its network, its manners.

Pure; one function a command, found by name in `GENERAL` (V.250, TS 27.007).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from sim.modem.calls import OK, Call, Refused, Reply
from sim.modem.settings import Settings

if TYPE_CHECKING:
    from sim.modem.device import Device, Handler

MANUFACTURER, MODEL, REVISION = "Guanxin", "Simulated modem", "1.0"
_OPERATOR = "CHINA MOBILE"


def _nothing(device: Device, call: Call) -> Reply:
    return OK


def _reset(device: Device, call: Call) -> Reply:
    device.settings = Settings()
    return OK


def _echo(device: Device, call: Call) -> Reply:
    device.settings.echo = call.number(0, 0, most=1) == 1
    return OK


def _verbose(device: Device, call: Call) -> Reply:
    if call.number(0, 0, most=1) != 1:
        raise Refused  # numeric results are not spoken here
    return OK


def _says(text: str) -> Handler:
    def answer(device: Device, call: Call) -> Reply:
        return OK if call.form == "test" else Reply((text,))

    return answer


def _information(device: Device, call: Call) -> Reply:
    return Reply((MANUFACTURER, MODEL, REVISION))


def _serial(device: Device, call: Call) -> Reply:
    return OK if call.form == "test" else Reply((device.identity.imei,))


def _subscriber(device: Device, call: Call) -> Reply:
    if call.form == "test":
        return OK
    device.card.demand(device.faults.card, "CME")
    return Reply((device.identity.imsi,))


def _card_id(device: Device, call: Call) -> Reply:
    device.card.demand(device.faults.card, "CME")
    return Reply((f"{call.name}: {device.identity.iccid}",))


def _own_number(device: Device, call: Call) -> Reply:
    device.card.demand(device.faults.card, "CME")
    return Reply((f'+CNUM: "","+{device.identity.number}",145',))


def _pin(device: Device, call: Call) -> Reply:
    put = device.faults.card
    if call.form == "set":
        device.card.enter(call.text(0), put)
        device.arrivals.bring()
        return OK
    state = device.card.state(put)
    if state in {"missing", "failure"}:
        device.card.demand(put, "CME")
    return Reply((f"+CPIN: {'READY' if state == 'ready' else 'SIM ' + state.upper()}",))


def _registration(device: Device, call: Call) -> Reply:
    if call.form == "set":
        device.settings.registration = call.number(0, 0, most=2)
        return OK
    if call.form == "test":
        return Reply((f"{call.name}: (0-2)",))
    shown = device.settings.registration
    cell = ',"1A2B","00C3D4"' if shown == 2 and device.reachable else ""
    return Reply((f"{call.name}: {shown},{1 if device.reachable else 2}{cell}",))


def _attached(device: Device, call: Call) -> Reply:
    return (
        OK if call.form == "set" else Reply((f"+CGATT: {'(0,1)' if call.form == 'test' else int(device.reachable)}",))
    )


def _operator(device: Device, call: Call) -> Reply:
    if call.form == "set":
        return OK
    if call.form == "test":
        return Reply((f'+COPS: (2,"{_OPERATOR}","CMCC","46000",7)',))
    return Reply((f'+COPS: 0,0,"{_OPERATOR}",7' if device.reachable else "+COPS: 0",))


def _signal(device: Device, call: Call) -> Reply:
    if call.form == "test":
        return Reply(("+CSQ: (0-31,99),(0-7,99)",))
    return Reply((f"+CSQ: {device.faults.signal if device.reachable else 99},99",))


def _errors(device: Device, call: Call) -> Reply:
    if call.form == "set":
        device.settings.errors = call.number(0, most=2)
        return OK
    return Reply((f"+CMEE: {'(0-2)' if call.form == 'test' else device.settings.errors}",))


def _power(device: Device, call: Call) -> Reply:
    if call.form == "set" and call.number(0, most=4) == 1 and call.text(1) == "1":
        device.reboot()
        return Reply(done=False)
    return OK if call.form == "set" else Reply((f"+CFUN: {'(0-1),(0-1)' if call.form == 'test' else 1}",))


def _clock(device: Device, call: Call) -> Reply:
    if call.form != "read":
        return OK
    moment = time.gmtime(device.wall + 8 * 3600)
    return Reply((time.strftime('+CCLK: "%y/%m/%d,%H:%M:%S+32"', moment),))


def _battery(device: Device, call: Call) -> Reply:
    return Reply(("+CBC: (0),(0-100)" if call.form == "test" else "+CBC: 0,100",))


def _activity(device: Device, call: Call) -> Reply:
    return Reply(("+CPAS: (0,2,3,4)" if call.form == "test" else "+CPAS: 0",))


GENERAL: Final[dict[str, Handler]] = {
    **dict.fromkeys(("&C", "&D", "&F", "&K", "&W", "S", "X", "Q", "L", "M", "H"), _nothing),
    "Z": _reset,
    "&F": _reset,
    "E": _echo,
    "V": _verbose,
    "I": _information,
    "+CGMI": _says(MANUFACTURER),
    "+GMI": _says(MANUFACTURER),
    "+CGMM": _says(MODEL),
    "+GMM": _says(MODEL),
    "+CGMR": _says(REVISION),
    "+GMR": _says(REVISION),
    "+GCAP": _says("+GCAP: +CGSM"),
    "+CGSN": _serial,
    "+GSN": _serial,
    "+CIMI": _subscriber,
    "+CCID": _card_id,
    "^ICCID": _card_id,
    "+CNUM": _own_number,
    "+CPIN": _pin,
    "+CREG": _registration,
    "+CGREG": _registration,
    "+CGATT": _attached,
    "+COPS": _operator,
    "+CSQ": _signal,
    "+CMEE": _errors,
    "+CFUN": _power,
    "+CCLK": _clock,
    "+CBC": _battery,
    "+CPAS": _activity,
    "+CLIP": _nothing,
    "+CUSD": _nothing,
    "+IFC": _nothing,
    "+IPR": _nothing,
}
