"""A script for the simulator: which faults from which second on.  Pure.

A JSON list such as ``[{"at_s": 5, "faults": {"silence": true}}, {"at_s": 65, "faults": {"silence": false}}]``.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from sim.carrier.faults import Faults, FaultsError, changed


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From ``at_s`` seconds after the start on, these faults are changed."""

    at_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)]
    faults: dict[str, Any]


def parse_script(octets: bytes) -> list[Step]:
    """Return the steps in order of time; raises `FaultsError` naming what is wrong, checked before anything runs."""
    try:
        steps = sorted(msgspec.json.decode(octets, type=list[Step]), key=lambda step: step.at_s)
    except msgspec.MsgspecError as error:
        raise FaultsError(f"script: {error}") from error
    faults = Faults()
    for number, step in enumerate(steps):
        try:
            faults = changed(faults, step.faults)
        except FaultsError as error:
            raise FaultsError(f"script step {number}: {error}") from error
    return steps
