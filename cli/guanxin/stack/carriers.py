"""The simulated carriers of the local stack: one process with a gateway of each protocol asked for, and our link to each.

Which protocol, which port, whose phones, and what a link to it says are one row each; nothing else here knows a protocol.  The
first one asked for serves every carrier, so that any choice of simulators reaches every phone; the others serve their own, and are
preferred for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

EVERYBODY = "MUTBV"
USUAL_HTTP = 8070
CALLS = "carrier-calls"
"""Under this name the ports are kept on which dispatch awaits the carriers' own connections."""


@dataclass(frozen=True, slots=True)
class SimulatedCarrier:
    """One gateway and the link to it."""

    protocol: str
    port: int
    """The protocol's usual one, or the next where two versions share it."""
    letters: str
    """Whose phones it serves: Mobile, Unicom, Telecom, Broadcasting network, Virtual operators."""
    account: str = "guanxin"
    settings: Mapping[str, Any] = field(default_factory=dict)
    calls: int = 0
    """The usual port on which we await its own connections, 0 where it makes none."""


CARRIERS: dict[str, SimulatedCarrier] = {
    "smpp": SimulatedCarrier("smpp34", 2775, "V"),
    "cmpp20": SimulatedCarrier("cmpp20", 7891, "B", "900002"),
    "cmpp30": SimulatedCarrier("cmpp30", 7890, "M", "900003"),
    "sgip12": SimulatedCarrier("sgip12", 8801, "U", settings={"node_id": 3010092008, "corp_id": "92008"}, calls=8811),
    "smgp30": SimulatedCarrier("smgp30", 8890, "T"),
}


def component(kinds: Sequence[str]) -> str:
    """Return the name of the component that simulates these."""
    return f"sim-{kinds[0]}" if len(kinds) == 1 else "sim-carriers"


def usual_ports(kinds: Sequence[str]) -> dict[str, int]:
    """Return the usual ports of the simulator's process: each gateway's and the HTTP side's."""
    return {kind: CARRIERS[kind].port for kind in kinds} | {"http": USUAL_HTTP}


def usual_calls(kinds: Sequence[str]) -> dict[str, int]:
    """Return the usual ports on which dispatch awaits the carriers' own connections."""
    return {kind: CARRIERS[kind].calls for kind in kinds if CARRIERS[kind].calls}


def _served(kinds: Sequence[str], kind: str) -> str:
    return EVERYBODY if kind == kinds[0] else CARRIERS[kind].letters


def accounts(kind: str, count: int) -> list[str]:
    """Return ``count`` accounts at a carrier; one that connects to us by itself has a single one, as it knows one address of ours."""
    carrier = CARRIERS[kind]
    own = carrier.account
    further = range(2, 1 + (1 if carrier.calls else count))
    return [own, *(str(int(own) + 10 * n) if own.isdigit() else f"{own}{n}" for n in further)]


def gateways(
    kinds: Sequence[str],
    ports: Mapping[str, int],
    calls: Mapping[str, int],
    secret: str,
    sessions: int,
    count: int = 1,
) -> list[dict[str, Any]]:
    """Return the gateways file of the simulator's process, each with ``count`` accounts of ``sessions``."""
    return [
        {
            "name": kind,
            "protocol": CARRIERS[kind].protocol,
            "port": ports[kind],
            "carriers": _served(kinds, kind),
            "accounts": [
                {
                    "account": account,
                    "secret": secret,
                    "sessions": sessions,
                    "listener": f"127.0.0.1:{calls[kind]}" if kind in calls else "",
                    "listener_secret": secret if kind in calls else "",
                }
                for account in accounts(kind, count)
            ],
        }
        for kind in kinds
    ]


def links(
    kinds: Sequence[str],
    ports: Mapping[str, int],
    calls: Mapping[str, int],
    secret: str,
    agreed: Mapping[str, Any],
    count: int = 1,
) -> list[dict[str, Any]]:
    """Return a link for each account at each gateway; ``agreed`` is the same for all (rate, sessions, workers, window)."""
    return [
        {
            "name": f"sim-{kind}" if number == 1 else f"sim-{kind}-{number}",
            "protocol": CARRIERS[kind].protocol,
            "host": "127.0.0.1",
            "port": ports[kind],
            "account": account,
            "password": secret,
            **({} if kind == kinds[0] else {"carriers": list(CARRIERS[kind].letters)}),
            **({"listen_host": "127.0.0.1", "listen_port": calls[kind]} if kind in calls else {}),
            **CARRIERS[kind].settings,
            **agreed,
        }
        for kind in kinds
        for number, account in enumerate(accounts(kind, count), 1)
    ]
