"""How a simulated modem behaves and misbehaves: one bounded, validated record, changed as a whole or in part.

Pure.  Chance is drawn from a seeded generator, so that a run can be repeated.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from sim.carrier.faults import FaultsError, Milliseconds, Ratio, Seconds

Card = Literal["ready", "pin", "puk", "missing", "failure"]


class ModemFaults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every knob with its well-behaved default.  Ratios are shares of the commands, messages or reports concerned."""

    # -- the line --------------------------------------------------------------------------------------------------
    octets_per_s: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 0
    """Speed of the line towards the computer; 0: as fast as it reads."""
    fragment_octets: Annotated[int, msgspec.Meta(ge=0, le=65_536)] = 0
    """Largest piece written at once; 0: everything in one."""
    garbage: Ratio = 0
    """Answers with a line of noise before them."""
    interleave: Ratio = 0
    """Unsolicited codes that land between the lines of the next answer instead of before it."""
    torn: Ratio = 0
    """Unsolicited codes that land in the middle of a line of the next answer and tear it in two."""
    echo_always: bool = False
    """Echoes commands whatever ATE0 said."""

    # -- commands --------------------------------------------------------------------------------------------------
    command_ms: Milliseconds = 0
    """Time from a command to its answer."""
    no_answer: Ratio = 0
    """Commands that are neither done nor answered."""
    silence: bool = False
    """Reads everything, says nothing."""
    refuse_command: Ratio = 0
    """Commands other than sending that are answered with a plain ERROR."""
    report_routes: Literal["both", "direct", "stored", "none"] = "both"
    """What +CNMI takes for status reports: 1 (+CDS), 2 (+CDSI), either, or neither."""
    phase_2_plus: bool = True
    """Whether AT+CSMS=1 is taken: then +CMT and +CDS want a +CNMA."""
    ack_ms: Milliseconds = 15_000
    """Time for that +CNMA; after it forwarding ceases, as TS 27.005 clause 3.4.4 says, and the network tries again."""

    # -- sending ---------------------------------------------------------------------------------------------------
    send_ms: Milliseconds = 0
    """Time from the end of the PDU to +CMGS: the network's."""
    send_jitter_ms: Milliseconds = 0
    no_prompt: Ratio = 0
    """+CMGS without a prompt or any other answer."""
    swallow: Ratio = 0
    """PDUs that are neither sent nor answered."""
    drop_response: Ratio = 0
    """Messages that are sent, but whose answer is lost."""
    refuse: Ratio = 0
    """Messages answered with +CMS ERROR `refuse_code`."""
    refuse_code: Annotated[int, msgspec.Meta(ge=0, le=999)] = 42
    """0: a plain ERROR."""
    reboot: Ratio = 0
    """Messages during which the modem starts anew: not sent, settings gone, no answer but the sign of life after it."""
    boot_ms: Milliseconds = 200
    """How long starting takes; what is written to it meanwhile is lost."""
    unplug_every_s: Seconds = 0
    """The device disappears, with this pause between two times."""
    unplug_ms: Milliseconds = 500
    """How long it stays away."""

    # -- network and card ------------------------------------------------------------------------------------------
    network: bool = True
    """False: not registered; sending is answered with +CMS ERROR 331, nothing comes in."""
    signal: Annotated[int, msgspec.Meta(ge=0, le=99)] = 24
    """+CSQ: 0-31, 99 unknown."""
    card: Card = "ready"
    slots: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 50
    """Messages a storage holds; what does not fit waits in the network."""
    discard_unrouted: bool = False
    """Reports that come while +CNMI wants none are lost, as in some modems after each start; else the network keeps them."""
    retry_ms: Milliseconds = 1000
    """Pause before the network brings again what the modem did not take."""
    omit_centre: bool = False
    """+CMT and +CDS without the service centre's address, as some modems have it."""

    # -- reports ---------------------------------------------------------------------------------------------------
    reports: bool = True
    report_delay_ms: Milliseconds = 50
    report_jitter_ms: Milliseconds = 0
    report_before_response: Ratio = 0
    """Reports that come before the +CMGS of their message."""
    report_reorder: Ratio = 0
    """Reports that come `reorder_ms` late, behind younger ones."""
    reorder_ms: Milliseconds = 200
    report_duplicate: Ratio = 0
    report_drop: Ratio = 0
    report_still_trying: Ratio = 0
    """Reports with a status that is not final before the final one."""
    wrong_reference: Ratio = 0
    """Reports with a reference nobody was given, before the right one."""
    undelivered: Ratio = 0
    undelivered_suffix: Annotated[str, msgspec.Meta(max_length=11)] = "0404"
    """Recipients ending in this are never delivered to: a way to see a failure on demand."""
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**32)] = 1

    def __post_init__(self) -> None:
        if self.undelivered_suffix and not self.undelivered_suffix.isdecimal():
            raise ValueError("undelivered_suffix: digits only")


def changed(current: ModemFaults, change: dict[str, Any]) -> ModemFaults:
    """Return ``current`` with the fields of ``change`` replaced; raises `FaultsError` naming what is wrong."""
    try:
        return msgspec.convert({**msgspec.to_builtins(current), **change}, ModemFaults)
    except msgspec.ValidationError as error:
        raise FaultsError(str(error)) from error
