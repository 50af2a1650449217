"""What a wire protocol must give the session engine: tables first, few functions, no state.

The engine knows kinds of PDUs, never commands; a dialect knows commands, never windows or timers. In all five
protocols an answer's command id is the request's with bit 31 set and repeats the request's sequence: the engine
relies on that and nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, ClassVar

from carrier.codec import Codec
from carrier.errors import CarrierError
from carrier.ids import IdMode
from carrier.layout import Fields
from carrier.model import BindMode, Mo, Outcome, Refusal, Report, Role, Submit

ANSWER = 0x80000000
"""Bit 31 of a command id."""


class Kind(Enum):
    """What the engine does with a PDU.

    Looked up several times a PDU: members hash by identity, because ``Enum`` hashes their names in Python (0.1 us each).
    """

    __hash__ = object.__hash__

    BIND = auto()
    BIND_ANSWER = auto()
    INVITATION = auto()
    SUBMIT = auto()
    SUBMIT_ANSWER = auto()
    DELIVER = auto()
    DELIVER_ANSWER = auto()
    KEEPALIVE = auto()
    KEEPALIVE_ANSWER = auto()
    UNBIND = auto()
    UNBIND_ANSWER = auto()
    NACK = auto()
    REQUEST = auto()
    REQUEST_ANSWER = auto()
    NOTICE = auto()


@dataclass(frozen=True)
class Limits:
    """Windows (requests) and times (seconds) of one session; every dialect publishes its defaults.

    ``attempts`` is how often a request is written before its answer is given up: above 1, a silent carrier sees it
    again under the same sequence. ``keepalive_idle`` 0 means never, ``idle_close`` 0 means never.
    """

    window: int = 10
    peer_window: int = 1000
    response: float = 30.0
    attempts: int = 1
    keepalive_idle: float = 30.0
    keepalive_tries: int = 3
    idle_close: float = 0.0
    bind: float = 10.0
    drain: float = 5.0


@dataclass(frozen=True)
class Credentials:
    """Who we are on a link. ``proof`` of the mode lies in the dialect; the secret never leaves in a log or a repr."""

    account: str
    secret: str
    mode: BindMode = BindMode.TRANSCEIVER

    def __repr__(self) -> str:
        return f"Credentials(account={self.account!r}, mode={self.mode.value!r})"


@dataclass(frozen=True, repr=False)
class BindRequest:
    """A client's bind as the server reads it. ``proof`` is the password or digest, ``stamp`` the time it was made
    for.
    """

    account: str
    mode: BindMode
    version: int
    proof: bytes
    stamp: int
    command: int
    sequence: int


@dataclass(frozen=True)
class BindAnswer:
    """A server's answer. ``proof`` is what it proves itself with, empty where the protocol has none."""

    status: int
    version: int
    proof: bytes = b""


@dataclass(frozen=True)
class Rights:
    """Which of SUBMIT and DELIVER one side may send, and take, on a bound session."""

    send: frozenset[Kind]
    take: frozenset[Kind]


_NONE: frozenset[Kind] = frozenset()
MT, MO = frozenset({Kind.SUBMIT}), frozenset({Kind.DELIVER})
RIGHTS_BY_MODE: Mapping[tuple[Role, BindMode], Rights] = {
    (Role.CLIENT, BindMode.TRANSMITTER): Rights(MT, _NONE),
    (Role.CLIENT, BindMode.RECEIVER): Rights(_NONE, MO),
    (Role.CLIENT, BindMode.TRANSCEIVER): Rights(MT, MO),
    (Role.SERVER, BindMode.TRANSMITTER): Rights(_NONE, MT),
    (Role.SERVER, BindMode.RECEIVER): Rights(MO, _NONE),
    (Role.SERVER, BindMode.TRANSCEIVER): Rights(MO, MT),
}
"""Where the client is the service provider and says at login which way it wants."""


@dataclass(frozen=True)
class LinkStatuses:
    """Part of every dialect's settings: statuses a carrier uses of its own or means differently."""

    throttle_statuses: frozenset[int] = frozenset()
    temporary_statuses: frozenset[int] = frozenset()
    permanent_statuses: frozenset[int] = frozenset()


class Dialect(ABC):
    """One wire protocol with one link's settings. Instances are immutable and shared between sessions.

    Every ``read_*`` takes one whole frame and raises ``CarrierError`` when it is malformed; every writer raises
    ``CarrierError`` when a value cannot be written.
    """

    name: ClassVar[str]
    settings_type: ClassVar[type[Any]]
    """A dataclass of what may differ between two links; ``carrier.dialects.dialect`` fills it from a link's
    settings.
    """
    codec: Codec
    limits: ClassVar[Limits]
    header_size: ClassVar[int]
    largest_frame: ClassVar[int]
    """Octets. Bounds the receive buffer: what a conforming peer may send at most, with the margin the reference
    advises.
    """
    first_sequence: ClassVar[int] = 1
    last_sequence: ClassVar[int] = 0xFFFFFFFF
    codings: ClassVar[Mapping[str, int]]
    """Data coding of the alphabets ``gsm7 ascii latin1 octets ucs2 gb18030``; one that is missing cannot be sent."""
    remembers_answers: ClassVar[bool]
    """The peer sends a request again under its old sequence: the engine keeps answers and repeats them."""
    closes_on_malformed: ClassVar[bool] = False
    """A body that cannot be read ends the session (SGIP) instead of being answered with an error."""
    has_keepalive: ClassVar[bool] = True
    sequence_is_id: ClassVar[bool] = False
    """The sequence of a submit is its message id: sessions of one account must never share any (``SessionConfig.sequences``)."""
    id_mode: ClassVar[IdMode] = IdMode.EXACT
    """How the id in a report relates to the one in the answer, unless the link says otherwise."""
    has_part_fields: ClassVar[bool] = True
    """Whether a long message may travel by fields of the protocol's own instead of a user data header."""
    national_numbers: ClassVar[bool] = False
    """Whether recipients are usually written without the country code."""
    malformed: ClassVar[int]
    """The statuses the engine itself answers with."""
    wrong_state: ClassVar[int]
    already_bound: ClassVar[int]
    duplicate: ClassVar[int]
    unknown_command: ClassVar[int]
    bad_length: ClassVar[int]
    statuses: ClassVar[Mapping[int, tuple[str, Outcome]]]
    """Every status of the standard: its name and what it means for a message."""
    submit_statuses: ClassVar[Mapping[Outcome, int]]
    """The status a server answers a submit with, per outcome."""
    deliver_statuses: ClassVar[Mapping[Outcome, int]]
    refusals: ClassVar[Mapping[Refusal, int]]
    """The status a server refuses a bind with."""
    bind_refusals: ClassVar[Mapping[int, Refusal]]
    """What a server's status says to a refused bind; one that is not listed is temporary."""
    commands: ClassVar[Mapping[Role, Mapping[int, Kind]]]
    """Command id to kind, as each role receives it."""
    mode_rights: ClassVar[Mapping[tuple[Role, BindMode], Rights]] = RIGHTS_BY_MODE
    sequence_name: ClassVar[str]
    """The standard's name of the sequence."""
    status_names: ClassVar[tuple[str, ...]]
    """The standard's names of an answer's status."""
    keepalive_command: ClassVar[int] = 0
    unbind_command: ClassVar[int]

    def __init__(self, settings: LinkStatuses) -> None:
        self._link_outcomes = {
            **dict.fromkeys(settings.permanent_statuses, Outcome.PERMANENT),
            **dict.fromkeys(settings.temporary_statuses, Outcome.TEMPORARY),
            **dict.fromkeys(settings.throttle_statuses, Outcome.THROTTLED),
        }

    # What a link must know ------------------------------------------------------------------------------------------

    @property
    def carrier_calls(self) -> bool:
        """Whether the carrier opens a connection of its own to us, for reports and replies."""
        return Kind.DELIVER in self.rights(Role.CLIENT, BindMode.RECEIVER).send

    @property
    def longest_ascii(self) -> int:
        """Octets of the longest single message in ASCII."""
        return 140

    def submitted_at(self, message_id: str, wall: float) -> float | None:
        """When the submit of this id was made (epoch seconds), as far as the id itself tells; ``wall`` is now."""
        return None

    # Exact path -----------------------------------------------------------------------------------------------------

    def decode(self, frame: bytes) -> Fields:
        """All fields of one PDU under the standard's own names."""
        return self.codec.decode(frame)

    def encode(self, fields: Mapping[str, object]) -> bytes:
        """The PDU for those fields, strictly."""
        return self.codec.encode(fields)

    def with_sequence(self, fields: Mapping[str, object], sequence: int) -> Mapping[str, object]:
        """``fields`` with the sequence under the standard's name(s)."""
        return {**fields, self.sequence_name: sequence}

    def status_of(self, fields: Mapping[str, object]) -> int:
        """The status in a decoded answer; 0 where that answer has none."""
        found = (fields[name] for name in self.status_names if name in fields)
        return next((status for status in found if isinstance(status, int)), 0)

    # Frames ---------------------------------------------------------------------------------------------------------

    def kinds(self, role: Role) -> Mapping[int, Kind]:
        """Command id to kind, as ``role`` receives it."""
        return self.commands[role]

    @abstractmethod
    def read_header(self, data: bytes, offset: int) -> tuple[int, int, int]:
        """Length, command, sequence of the frame starting at ``offset``; ``header_size`` octets are there."""

    def sequence_base(self, wall: float) -> int:
        """Added to the counter: 0, unless the protocol stamps its sequences with a node and a time."""
        return 0

    def for_account(self, account: str) -> Dialect:
        """The dialect for one account, where messages repeat who sends them."""
        return self

    def message_id(self, serial: int, wall: float, request: bytes = b"") -> str:
        """The id a server gives a submit, from a serial it counts itself, or (SGIP) from the submit's own frame."""
        return f"{serial:x}"

    def group_id(self, message_id: str, index: int) -> str:
        """The id of recipient ``index`` (from 0) of a group submit that was answered with ``message_id``."""
        return message_id

    # Login ----------------------------------------------------------------------------------------------------------

    def rights(self, role: Role, mode: BindMode) -> Rights:
        return self.mode_rights[role, mode]

    @abstractmethod
    def bind(self, credentials: Credentials, sequence: int, wall: float) -> bytes: ...

    @abstractmethod
    def read_bind(self, frame: bytes) -> BindRequest: ...

    @abstractmethod
    def check_bind(self, request: BindRequest, secret: str, wall: float) -> Refusal | None:
        """Whether the proof fits ``secret``, compared in constant time, and its time is tolerable."""

    @abstractmethod
    def bind_answer(self, request: BindRequest, status: int, secret: str) -> bytes: ...

    @abstractmethod
    def read_bind_answer(self, frame: bytes) -> BindAnswer: ...

    def trusts(self, answer: BindAnswer, bind_frame: bytes, secret: str) -> bool | None:
        """Whether the server proved itself; None where the protocol has no such proof."""
        return None

    def refusal(self, status: int) -> Refusal:
        return self.bind_refusals.get(status, Refusal.TEMPORARY)

    def negotiated(self, role: Role, version: int) -> Dialect:
        """The dialect ``role`` goes on with once the peer's version is known."""
        return self

    def read_invitation(self, frame: bytes) -> tuple[str, str]:
        raise CarrierError("this protocol has no invitation to bind")

    # Traffic --------------------------------------------------------------------------------------------------------

    @abstractmethod
    def submit(self, submit: Submit, sequence: int) -> bytes: ...

    @abstractmethod
    def read_submit(self, frame: bytes) -> Submit: ...

    @abstractmethod
    def deliver(self, item: Report | Mo, sequence: int) -> bytes: ...

    @abstractmethod
    def read_deliver(self, frame: bytes) -> Report | Mo: ...

    @abstractmethod
    def answer(self, request: bytes, status: int, message_id: str) -> bytes:
        """The answer to a SUBMIT or DELIVER frame."""

    @abstractmethod
    def read_answer(self, frame: bytes) -> tuple[int, str]:
        """Status and message id of the answer to a SUBMIT or DELIVER; the id is empty when there is none."""

    def outcome(self, status: int) -> Outcome:
        """What an answer's status means: the link's settings first, then the standard's table, then its rule for the rest."""
        meaning = self._link_outcomes.get(status)
        if meaning is None:
            known = self.statuses.get(status)
            meaning = known[1] if known is not None else self.unlisted_outcome(status)
        return meaning

    def unlisted_outcome(self, status: int) -> Outcome:
        """A status the table does not have: reserved ones fail the message."""
        return Outcome.PERMANENT

    def status_name(self, status: int) -> str:
        """The standard's own words for a status, for people."""
        known = self.statuses.get(status)
        return known[0] if known is not None else f"status {status}"

    def explained(self, frame: bytes) -> CarrierError:
        """Why a fast path could not read ``frame``: the exact path says where."""
        try:
            self.codec.decode(frame)
        except CarrierError as error:
            return error
        return CarrierError("a message to nobody, or one longer than any peer writes", self.header_size)

    # Control --------------------------------------------------------------------------------------------------------

    @abstractmethod
    def bare(self, command: int, sequence: int) -> bytes:
        """A PDU without a body."""

    def keepalive(self, sequence: int) -> bytes:
        """Only called where ``has_keepalive``."""
        if not self.has_keepalive:
            raise CarrierError("this protocol has no keep-alive")
        return self.bare(self.keepalive_command, sequence)

    def unbind(self, sequence: int) -> bytes:
        return self.bare(self.unbind_command, sequence)

    def plain_answer(self, command: int, sequence: int) -> bytes:
        """The positive answer to a keep-alive or unbind."""
        return self.bare(command | ANSWER, sequence)

    @abstractmethod
    def refuse(self, command: int, sequence: int, status: int) -> bytes:
        """An answer that only carries a status, for a request that could not be taken; empty when none can be
        written.
        """

    def nack(self, sequence: int, status: int) -> bytes:
        """Answer to what is no known request; empty where the protocol has none."""
        return b""

    def read_nack(self, frame: bytes) -> int:
        """Status of a nack; only called where ``kinds`` has one."""
        raise CarrierError("this protocol has no nack")
