"""What a modem session is told and what it tells: settings, states, events. The session itself is `modem`."""

from enum import StrEnum

import msgspec

from gsm.codes import Action


class State(StrEnum):
    """Where a session is; `modem` has the table of legal moves."""

    DOWN = "down"
    STARTING = "starting"
    READY = "ready"
    STOPPED = "stopped"
    """Somebody must act: SIM missing, locked, or the PIN refused."""
    LOST = "lost"
    """The modem does not answer: close the port, reset it, begin again with a new session."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one modem; times in seconds. The alternatives are tried in order until the modem takes one."""

    pin: str = ""
    centre: str = ""
    """Service centre to set, as +86...; empty leaves the SIM's."""
    storages: tuple[str, ...] = ("SM", "ME")
    notifications: tuple[str, ...] = ("2,1,0,1,0", "2,1,0,2,0", "1,1,0,1,0", "2,1")
    command_wait: float = 10.0
    send_wait: float = 90.0
    poll_every: float = 60.0
    patience: int = 3
    """Commands in a row without an answer before the modem counts as lost."""


class Ready(msgspec.Struct, frozen=True):
    """The modem can send. `signal` is 0-31 or 99, `registration` 1 (home) or 5 (roaming)."""

    serial: str
    operator: str
    centre: str
    signal: int | None
    registration: int | None


class Stopped(msgspec.Struct, frozen=True):
    """Setting up cannot go on: sim_missing, sim_puk, sim_failure, pin_required, pin_refused or setup_refused."""

    reason: str
    detail: str = ""


class Lost(msgspec.Struct, frozen=True):
    """The modem has not answered; a message that was in flight has had its event before."""


class Sent(msgspec.Struct, frozen=True):
    """The network took the message; `reference` is its TP-MR, by which reports are matched."""

    token: int
    reference: int


class Refused(msgspec.Struct, frozen=True):
    """The message was not sent: +CMS ERROR `code`, or None, and what to do."""

    token: int
    code: int | None
    text: str
    action: Action


class Uncertain(msgspec.Struct, frozen=True):
    """The message went to the modem and nothing came back: it may have been sent."""

    token: int


class Received(msgspec.Struct, frozen=True):
    """A PDU from the network. Call `acknowledge(handle)` once it is stored; `length` is what the modem announced.

    Decode it with `frame.decode_frame(octets, to_phone=True, length=length)`.
    """

    handle: int
    octets: bytes
    length: int | None


class Garbled(msgspec.Struct, frozen=True):
    """A stored message or a code with a PDU that is no hexadecimal string; it is left where it is."""

    text: str


class Level(msgspec.Struct, frozen=True):
    """What polling found."""

    signal: int | None
    registration: int | None


Event = Ready | Stopped | Lost | Sent | Refused | Uncertain | Received | Garbled | Level
