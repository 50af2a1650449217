"""The session's states and, per state, the kinds of PDU a peer may send: the whole legality of a session in one
table.
"""

from __future__ import annotations

from enum import Enum, auto

from carrier.dialect import Kind
from carrier.model import Role


class State(Enum):
    """Where a session is; it only moves downwards in this list."""

    OPEN = auto()
    """The connection is up, nobody has asked to bind."""
    BINDING = auto()
    """Client: the bind is sent. Server: a bind waits for the owner's verdict."""
    BOUND = auto()
    DRAINING = auto()
    """We will unbind: nothing new is sent, answers are awaited on both sides."""
    UNBINDING = auto()
    """Our unbind is sent."""
    CLOSED = auto()


_ALWAYS = frozenset({Kind.KEEPALIVE, Kind.KEEPALIVE_ANSWER, Kind.NACK, Kind.UNBIND})
_LATE = frozenset({Kind.SUBMIT_ANSWER, Kind.DELIVER_ANSWER, Kind.REQUEST_ANSWER, Kind.DELIVER, Kind.NOTICE})
_TRAFFIC = _ALWAYS | _LATE | {Kind.SUBMIT, Kind.REQUEST}

LEGAL: dict[tuple[Role, State], frozenset[Kind]] = {
    (Role.CLIENT, State.OPEN): _ALWAYS | {Kind.INVITATION},
    (Role.CLIENT, State.BINDING): _ALWAYS | {Kind.BIND_ANSWER},
    (Role.CLIENT, State.BOUND): _TRAFFIC,
    (Role.CLIENT, State.DRAINING): _TRAFFIC,
    (Role.CLIENT, State.UNBINDING): _ALWAYS | _LATE | {Kind.UNBIND_ANSWER},
    (Role.CLIENT, State.CLOSED): frozenset(),
    (Role.SERVER, State.OPEN): _ALWAYS | {Kind.BIND},
    (Role.SERVER, State.BINDING): _ALWAYS,
    (Role.SERVER, State.BOUND): _TRAFFIC,
    (Role.SERVER, State.DRAINING): _TRAFFIC,
    (Role.SERVER, State.UNBINDING): _ALWAYS | _LATE | {Kind.UNBIND_ANSWER},
    (Role.SERVER, State.CLOSED): frozenset(),
}
