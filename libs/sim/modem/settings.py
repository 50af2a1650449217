"""What the computer has set in a modem: lost when it starts anew, and by ATZ.  Pure."""

from __future__ import annotations

import msgspec


class Notify(msgspec.Struct, frozen=True):
    """+CNMI (TS 27.005 clause 3.4.1): buffering, messages, broadcasts, reports, what becomes of the buffer."""

    mode: int = 0
    messages: int = 0
    broadcasts: int = 0
    reports: int = 0
    buffer: int = 0


class TextParameters(msgspec.Struct, frozen=True):
    """+CSMP (clause 3.1.2): what a message sent in text mode carries."""

    first: int = 17
    validity: int = 167
    pid: int = 0
    dcs: int = 0


class Settings(msgspec.Struct):
    """Everything ATZ resets."""

    echo: bool = True
    errors: int = 0
    """+CMEE: 0 a plain ERROR, 1 its number, 2 its text."""
    text_mode: bool = False
    headers: bool = False
    """+CSDH: text mode shows everything."""
    alphabet: str = "GSM"
    service: int = 0
    """+CSMS: 1 wants confirmations."""
    storages: tuple[str, str, str] = ("SM", "SM", "SM")
    notify: Notify = Notify()
    text: TextParameters = TextParameters()
    registration: int = 0
    """+CREG: 1 announces changes."""
