"""Messages as text mode shows and takes them (TS 27.005 clauses 3.1 and 3.4).  Pure.

Content in the default alphabet without a header is text in the computer's character set; everything else is hexadecimal.
"""

from __future__ import annotations

from typing import Final

import smstext
from gsm import (
    Address,
    Deliver,
    GsmError,
    StatusReport,
    Submit,
    Timestamp,
    address_of,
    decode_user_data,
    encode_user_data,
)
from gsm.dcs import parse_dcs
from gsm.layout import FLAGS, decode, encode
from gsm.pdu import MTI
from sim.modem.calls import INVALID_TEXT, Refused
from sim.modem.settings import TextParameters
from sim.modem.storage import Stored
from smstext import Coding

STATES: Final = ("REC UNREAD", "REC READ", "STO UNSENT", "STO SENT", "ALL")
ALPHABETS: Final = ("GSM", "IRA", "UCS2", "HEX")

Shown = Deliver | StatusReport | Submit


def parsed(tpdu: bytes, *, ours: bool) -> Shown | None:
    """Return a stored TPDU; None for what text mode cannot show."""
    try:
        pdu, _ = decode(tpdu, to_phone=not ours)
    except GsmError:
        return None
    return pdu if isinstance(pdu, Deliver | StatusReport | Submit) else None


def listed(index: int, stored: Stored, alphabet: str, *, headers: bool) -> list[str]:
    """Return the lines of one message in a +CMGL answer."""
    pdu = parsed(stored.tpdu, ours=stored.state > 1)
    start = f'+CMGL: {index},"{STATES[stored.state]}",'
    if pdu is None:
        return []
    if isinstance(pdu, StatusReport):
        return [start + _report(pdu)]
    extra = f",{_address(pdu).type},{_length(pdu)}" if headers else ""
    stamp = f',"{shown_time(pdu.tp_scts)}"' if isinstance(pdu, Deliver) else ","
    return [f"{start}{_number(_address(pdu), alphabet)},{stamp}{extra}", _content(pdu, alphabet)]


def read(stored: Stored, alphabet: str, *, headers: bool) -> list[str]:
    """Return the lines of a +CMGR answer."""
    pdu = parsed(stored.tpdu, ours=stored.state > 1)
    start = f'+CMGR: "{STATES[stored.state]}",'
    if pdu is None:
        return []
    if isinstance(pdu, StatusReport):
        return [start + _report(pdu)]
    head = f"{start}{_number(_address(pdu), alphabet)},"
    if isinstance(pdu, Deliver):
        head += f',"{shown_time(pdu.tp_scts)}"'
    if headers:
        validity = pdu.tp_vp if isinstance(pdu, Submit) and isinstance(pdu.tp_vp, int) else ""
        more = f",{validity}" if isinstance(pdu, Submit) else ""
        head += f",{_address(pdu).type},{_first(pdu)},{pdu.tp_pid},{pdu.tp_dcs}{more},,,{_length(pdu)}"
    return [head, _content(pdu, alphabet)]


def code(name: str, tpdu: bytes, alphabet: str) -> list[str]:
    """Return the lines of +CMT or +CDS."""
    pdu = parsed(tpdu, ours=False)
    if isinstance(pdu, StatusReport):
        return [f"{name}: {_report(pdu)}"]
    if not isinstance(pdu, Deliver):
        return []
    return [f'{name}: {_number(pdu.tp_oa, alphabet)},,"{shown_time(pdu.tp_scts)}"', _content(pdu, alphabet)]


def submit(number: str, kind: int | None, body: bytes, parameters: TextParameters, alphabet: str) -> Submit:
    """Return the SUBMIT of a text-mode message; raises `Refused`."""
    first = parameters.first
    try:
        address = Address(number.lstrip("+"), kind) if kind is not None else address_of(number)
        coding = parse_dcs(parameters.dcs)
        udhi = first >> 6 & 1
        if coding.coding is Coding.GSM7 and not udhi:
            length, octets = encode_user_data(taken(body, alphabet), parameters.dcs)
        else:
            octets = bytes.fromhex(body.decode("ascii"))
            length = len(octets)
        if len(octets) > 140:
            raise Refused("CMS", INVALID_TEXT)
        message = Submit(
            tp_rd=first >> 2 & 1,
            tp_srr=first >> 5 & 1,
            tp_udhi=udhi,
            tp_rp=first >> 7 & 1,
            tp_da=address,
            tp_pid=parameters.pid,
            tp_dcs=parameters.dcs,
            tp_vp=parameters.validity if first >> 3 & 3 == 2 else None,
            tp_udl=length,
            tp_ud=octets,
        )
        encode(message)  # what cannot be written is refused here
    except (GsmError, ValueError):
        raise Refused("CMS", INVALID_TEXT) from None
    return message


def taken(octets: bytes, alphabet: str) -> str:
    """Return what the computer wrote in its character set; raises ValueError."""
    if alphabet == "GSM":
        return smstext.decode(octets.replace(b"\r\n", b"\n"), Coding.GSM7, lenient=True)
    if alphabet == "IRA":
        return octets.decode("ascii")
    raw = bytes.fromhex(octets.decode("ascii"))
    if alphabet == "UCS2":
        return raw.decode("utf-16-be")
    return smstext.decode(raw, Coding.GSM7, lenient=True)


def shown(text: str, alphabet: str) -> str:
    """Return a text in the computer's character set, one character an octet."""
    if alphabet == "UCS2":
        return text.encode("utf-16-be").hex().upper()
    if alphabet == "IRA":
        return text.encode("ascii", "replace").decode("ascii")
    septets = smstext.encode(text, Coding.GSM7)
    return septets.hex().upper() if alphabet == "HEX" else septets.decode("latin-1")


def shown_time(time: Timestamp) -> str:
    """Return a time as `yy/MM/dd,hh:mm:ss+zz`, the zone in quarter hours."""
    sign = "-" if time.west else "+"
    day = f"{time.year:02}/{time.month:02}/{time.day:02}"
    return f"{day},{time.hour:02}:{time.minute:02}:{time.second:02}{sign}{time.quarters:02}"


def _address(pdu: Deliver | Submit) -> Address:
    return pdu.tp_oa if isinstance(pdu, Deliver) else pdu.tp_da


def _number(address: Address, alphabet: str) -> str:
    return f'"{shown(str(address), alphabet)}"'


def _content(pdu: Deliver | Submit, alphabet: str) -> str:
    data = decode_user_data(pdu.tp_udl, pdu.tp_ud, pdu.tp_dcs, has_header=bool(pdu.tp_udhi))
    if parse_dcs(pdu.tp_dcs).coding is Coding.GSM7 and not pdu.tp_udhi and data.text is not None:
        return shown(data.text.replace("\ufffd", "?"), alphabet)
    return pdu.tp_ud.hex().upper()


def _report(pdu: StatusReport) -> str:
    times = f'"{shown_time(pdu.tp_scts)}","{shown_time(pdu.tp_dt)}"'
    return f'{_first(pdu)},{pdu.tp_mr},"{pdu.tp_ra}",{pdu.tp_ra.type},{times},{pdu.tp_st}'


def _first(pdu: Shown) -> int:
    flags: int = sum(getattr(pdu, name) << bit for name, bit in FLAGS[type(pdu)].items())
    validity = 16 if isinstance(pdu, Submit) and isinstance(pdu.tp_vp, int) else 0
    return MTI[type(pdu)] | flags | validity


def _length(pdu: Deliver | Submit) -> int:
    return pdu.tp_udl
