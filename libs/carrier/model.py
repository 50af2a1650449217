"""The words every dialect shares: what is submitted, what comes back, and how an answer is judged.

Structures are frozen and untracked by the garbage collector: hundreds of thousands live for a few milliseconds each.
Their ``repr`` is fit for a log: numbers masked, no content.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from smstext.numbers import mask


class Outcome(StrEnum):
    """What an answer's status means for the message: the closed set a sender has to handle."""

    OK = "ok"
    THROTTLED = "throttled"
    """Slow down and send again; not a failure of the message."""
    TEMPORARY = "temporary"
    """Send again later, a limited number of times."""
    PERMANENT = "permanent"
    """The message fails."""
    SESSION = "session"
    """The session, not the message, is at fault: rebind, then send again."""
    UNCERTAIN = "uncertain"
    """The carrier says it saw this request before and gives no id: it may or may not have been accepted."""


class Refusal(StrEnum):
    """Why a bind was refused: each asks for another behaviour of the reconnecting side."""

    CREDENTIALS = "credentials"
    """Wrong account, secret or address: do not come back within a minute."""
    VERSION = "version"
    """Wrong protocol version or login type: an error of configuration."""
    LIMIT = "limit"
    """Too many sessions: back off, an old session may still live."""
    TEMPORARY = "temporary"
    """Anything else: back off and come again."""


class BindMode(StrEnum):
    """Which way messages travel on a session, as the service provider sees it."""

    TRANSMITTER = "transmitter"
    RECEIVER = "receiver"
    TRANSCEIVER = "transceiver"


class Role(StrEnum):
    """Who sends the bind. It need not be who opened the connection (SMPP outbind)."""

    CLIENT = "client"
    SERVER = "server"


class ReportState(StrEnum):
    """The states of a delivery report in every dialect (SMPP 3.4 table 5-6 has the same eight)."""

    ENROUTE = "enroute"
    DELIVERED = "delivered"
    EXPIRED = "expired"
    DELETED = "deleted"
    UNDELIVERABLE = "undeliverable"
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"
    REJECTED = "rejected"


class Submit(msgspec.Struct, frozen=True, gc=False):
    """One segment on its way to a phone.

    ``content`` is what goes into the content field, user data header included when ``udhi``. ``data_coding`` is the
    dialect's own number (``Dialect.codings`` gives it per alphabet). ``part_*`` fill the protocol's own packet fields
    where it has them.
    ``validity`` and ``schedule`` are absolute ``YYMMDDhhmmsstnnp`` (16 characters, see ``carrier.timetext``) or empty.
    """

    source: str
    destination: str
    content: bytes
    data_coding: int = 0
    udhi: bool = False
    wants_report: bool = True
    priority: int = 0
    service_type: str = ""
    validity: str = ""
    schedule: str = ""
    protocol_id: int = 0
    part_reference: int = 0
    part_total: int = 1
    part_number: int = 1
    link_id: str = ""
    """Id of the conversation an answer to a phone belongs to, where the protocol carries one."""
    more_destinations: tuple[str, ...] = ()
    """Further recipients of the same content (group submit); message ids count up from the first."""

    def __repr__(self) -> str:
        part = f"part {self.part_number}/{self.part_total}"
        return f"Submit({self.source} -> {mask(self.destination)}, {len(self.content)} octets, {part})"


class Report(msgspec.Struct, frozen=True, gc=False):
    """A delivery report as received. ``message_id`` is raw: match it by ``carrier.ids``.

    ``recipient`` is the phone, ``sender`` the access number. ``stat`` and ``error`` are the carrier's own words,
    times are its own digits (usually YYMMDDhhmm), ``raw`` is the whole frame.
    """

    message_id: str
    state: ReportState
    final: bool
    stat: str = ""
    error: str = ""
    recipient: str = ""
    sender: str = ""
    submitted: str = ""
    done: str = ""
    text: str = ""
    raw: bytes = b""

    def __repr__(self) -> str:
        return f"Report({self.message_id}, {self.state.value} {self.stat!r} {self.error!r}, {mask(self.recipient)})"


class Mo(msgspec.Struct, frozen=True, gc=False):
    """A message from a phone (``source``) to an access number (``destination``); ``raw`` is the whole frame."""

    source: str
    destination: str
    content: bytes
    data_coding: int = 0
    udhi: bool = False
    message_id: str = ""
    protocol_id: int = 0
    service_type: str = ""
    part_reference: int = 0
    part_total: int = 1
    part_number: int = 1
    link_id: str = ""
    raw: bytes = b""

    def __repr__(self) -> str:
        return f"Mo({mask(self.source)} -> {self.destination}, {len(self.content)} octets)"
