"""One simulated modem: commands in, answers and unsolicited codes out, messages to and from the network.

Pure: octets and time are arguments, `next_due` says when to come back.  What a command means is `general` and
`messages`; here are its life, its answers' timing, and how incoming PDUs find their way.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence

import msgspec
import structlog

from gsm import Command, Submit
from sim.carrier.schedule import Schedule
from sim.modem import storage
from sim.modem.arrivals import Arrivals
from sim.modem.behaviour import Behaviour, Fate, ReportPlan
from sim.modem.calls import Call, Refused, Reply, parse
from sim.modem.card import SimCard
from sim.modem.faults import ModemFaults
from sim.modem.network import Network
from sim.modem.output import HeldCode, Output
from sim.modem.settings import Settings
from sim.modem.storage import Storage
from sim.modem.terminal import Aborted, Body, CommandLine, Terminal

log = structlog.get_logger()

Handler = Callable[["Device", Call], Reply]
Body_ = Callable[[bytes], None]
"""What is done with what is written to the prompt."""

_MOST_CODES = 256
"""Unsolicited codes that wait; older ones are forgotten, as a modem's buffer does (TS 27.005 clause 3.4.1)."""

_CME_TEXT = {3: "operation not allowed", 10: "SIM not inserted", 11: "SIM PIN required", 12: "SIM PUK required"}
_CME_TEXT |= {13: "SIM failure", 16: "incorrect password", 30: "no network service"}


class Identity(msgspec.Struct, frozen=True):
    """Who a modem is: its name in the pool, its card's number, its own serial number and the card's."""

    name: str
    number: str
    imei: str
    imsi: str
    iccid: str
    pin: str = "1234"


class Device:
    """A modem; `wall` gives Unix seconds for a monotonic time."""

    def __init__(
        self,
        identity: Identity,
        network: Network,
        commands: dict[str, Handler],
        faults: ModemFaults,
        wall: Callable[[float], float],
        salt: int = 0,
    ) -> None:
        self.identity = identity
        self.network = network
        self.behaviour = Behaviour(faults, salt)
        self.card = SimCard(identity.pin)
        self.settings = Settings()
        self.storages = {name: Storage(faults.slots) for name in storage.NAMES}
        self.centre = ""
        self.now = 0.0
        self.booting_until: float | None = None
        self._commands = commands
        self._wall = wall
        self._terminal = Terminal()
        self.output = Output(self.behaviour)
        self._busy = False
        self._to_prompt: Body_ | None = None
        self._answers: Schedule[Callable[[], None]] = Schedule()
        self.arrivals = Arrivals(self)
        self._codes: deque[Sequence[str]] = deque(maxlen=_MOST_CODES)
        self._buffered: deque[Sequence[str]] = deque(maxlen=_MOST_CODES)
        self._held: list[HeldCode] = []
        self._reference = 0
        self._registered = faults.network

    # -- what others see -----------------------------------------------------------------------------------------------

    @property
    def faults(self) -> ModemFaults:
        """How it behaves just now."""
        return self.behaviour.faults

    @property
    def counts(self) -> Counter[str]:
        """Its counters since the last reset."""
        return self.network.stats.account(self.identity.number).counts

    @property
    def wall(self) -> float:
        """Unix seconds now."""
        return self._wall(self.now)

    @property
    def reachable(self) -> bool:
        """Whether the network can bring it something."""
        faults = self.faults
        usable = faults.network and self.card.state(faults.card) == "ready" and not faults.silence
        return usable and self.booting_until is None

    # -- time and octets -----------------------------------------------------------------------------------------------

    def receive_data(self, octets: bytes, now: float) -> None:
        """Take what the computer wrote."""
        self.now = now
        if self.booting_until is not None or self.faults.silence:
            return
        before = self._terminal.overrun
        self._terminal.write(octets)
        self.counts["overrun"] += self._terminal.overrun - before
        self._read()

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self.now = now
        if self.booting_until is not None:
            if now < self.booting_until:
                return
            self.booting_until = None
            self._say(["RDY"])
        for answer in self._answers.due(now, 64):
            answer()
        if self.faults.network is not self._registered:
            self._registered = self.faults.network
            if self.settings.registration:
                self._say([f"+CREG: {1 if self._registered else 2}"])
        self.arrivals.bring()
        self._read()
        if self.faults.silence:
            self.output.clear()

    def next_due(self) -> float | None:
        """Return when `handle_timer` has something to do, or there is something to write."""
        if self.booting_until is not None:
            return self.booting_until
        times = (self.output.next_due(), self._answers.next_due(), self.arrivals.next_due())
        return min((time for time in times if time is not None), default=None)

    def reboot(self) -> None:
        """Start anew by itself, because of a command or at somebody's wish."""
        self.counts["reboots"] += 1
        self.power_cycle(self.faults.boot_ms / 1000)

    def power_cycle(self, boot_s: float) -> None:
        """Start anew: settings and what was unsaid are gone, storages stay, the network keeps what was not confirmed."""
        self.booting_until = self.now + boot_s
        self.settings = Settings()
        self._terminal.clear()
        self.output.clear()
        self._answers.clear()
        self._codes.clear()
        self._buffered.clear()
        self._held.clear()
        self._busy = False
        self._to_prompt = None
        self.card.power_off()
        self.arrivals.power_cycle()

    # -- commands ------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        while not self._busy and self.booting_until is None:
            found, echo = self._terminal.next()
            if echo and (self.settings.echo or self.faults.echo_always):
                self.output.raw(echo, self.now)
            if found is None:
                return
            if isinstance(found, CommandLine):
                self._command(found.text)
            else:
                self._end_prompt(found)

    def _command(self, text: str) -> None:
        self.counts["commands"] += 1
        if self.behaviour.hits(self.faults.no_answer):
            self.counts["unanswered"] += 1
            return
        lines: list[str] = []
        try:
            done = True
            for call in parse(text):
                reply = self._run(call)
                lines += reply.lines
                done = reply.done
            final = "OK"
        except Refused as error:
            done, final = True, self._error(error)
            self._to_prompt = None
            self._terminal.prompting = False
        if done:
            self.answer([*lines, final], self.faults.command_ms / 1000)

    def _run(self, call: Call) -> Reply:
        handler = self._commands.get(call.name)
        if handler is None or (self.behaviour.hits(self.faults.refuse_command) and call.name not in _SENDING):
            raise Refused
        return handler(self, call)

    def _error(self, error: Refused) -> str:
        self.counts["refused_commands"] += 1
        if error.kind == "CMS":
            return f"+CMS ERROR: {error.code}"
        if not error.kind or not self.settings.errors:
            return "ERROR"
        if self.settings.errors == 2:
            return f"+CME ERROR: {_CME_TEXT.get(error.code, 'unknown')}"
        return f"+CME ERROR: {error.code}"

    def answer(self, lines: Sequence[str], after_s: float) -> None:
        """Give an answer after a time in which no other command is read."""
        self._busy = True
        if after_s <= 0:
            self._finish(lines)
        else:
            self._answers.put(self.now + after_s, lambda: self._finish(lines))

    def _finish(self, lines: Sequence[str]) -> None:
        self._busy = False
        codes, self._held = self._held, []
        if lines:
            self.counts["garbage"] += int(self.output.answer(lines, codes, self.now))
        else:
            for code in codes:
                self.output.lines(code.lines, self.now)
        self._flush_codes()

    # -- the prompt ----------------------------------------------------------------------------------------------------

    def prompt(self, then: Body_) -> Reply:
        """Ask for a PDU or text; `then` gets it."""
        if self.behaviour.hits(self.faults.no_prompt):
            self.counts["unanswered"] += 1
            return Reply(done=False)
        self._to_prompt = then
        self._terminal.prompting = True
        self.output.raw(b"\r\n> ", self.now)
        return Reply(done=False)

    def _end_prompt(self, found: Body | Aborted) -> None:
        self._terminal.prompting = False
        then, self._to_prompt = self._to_prompt, None
        if isinstance(found, Aborted) or then is None:
            self.answer(["OK"], 0)
            return
        try:
            then(found.octets)
        except Refused as error:
            self.answer([self._error(error)], 0)

    # -- sending -------------------------------------------------------------------------------------------------------

    def send(self, pdu: Submit | Command, answered: str) -> None:
        """Hand a message to the network; `answered` is the name of the line that gives its reference."""
        self.card.demand(self.faults.card, "CMS")
        counts = self.counts
        counts["submits"] += 1
        stats = self.network.stats.account(self.identity.number)
        stats.submit_rate.add(self.now)
        if not self.faults.network:
            counts["rejected"] += 1
            raise Refused("CMS", 331)
        fate, after_s = self.behaviour.fate(), self.behaviour.send_s()
        if fate is Fate.REBOOT:
            self.reboot()
        elif fate is Fate.SWALLOW:
            counts["unanswered"] += 1
            self.answer([], after_s)
        elif fate is Fate.REFUSE:
            counts["rejected"] += 1
            code = self.faults.refuse_code
            self.answer([f"+CMS ERROR: {code}" if code else "ERROR"], after_s)
        else:
            self._accept(pdu, answered, after_s)

    def _accept(self, pdu: Submit | Command, answered: str, after_s: float) -> None:
        self.counts["accepted"] += 1
        reference, self._reference = self._reference, (self._reference + 1) & 0xFF
        if isinstance(pdu, Submit):
            self.network.sent(self.identity.number, pdu)
        plan = self.behaviour.reports(pdu.tp_da.number) if pdu.tp_srr else None
        if plan is not None and plan.delay_s < 0:
            self._put_reports(plan, pdu, reference, self.now)
            self.arrivals.bring()
        if self.behaviour.hits(self.faults.drop_response):
            self.counts["unanswered"] += 1
            self.answer([], after_s)
        else:
            self.answer([f"{answered}: {reference}", "OK"], after_s)
        if plan is not None and plan.delay_s >= 0:
            self._put_reports(plan, pdu, reference, self.now + after_s + plan.delay_s)

    def _put_reports(self, plan: ReportPlan, pdu: Submit | Command, reference: int, due: float) -> None:
        reports = [self.network.report(reference, pdu, state, self.wall) for state in plan.states]
        if plan.wrong_first:
            strange = (reference + 128) & 0xFF
            reports.insert(0, self.network.report(strange, pdu, plan.states[-1], self.wall))
        for report in reports:
            self.counts["receipts_waiting"] += 1
            self.arrivals.put(report, due)

    # -- unsolicited codes ---------------------------------------------------------------------------------------------

    def say_of_message(self, lines: Sequence[str]) -> None:
        """Say what +CNMI governs: in its mode 0 it waits."""
        if self.settings.notify.mode == 0:
            self._buffered.append(lines)
        else:
            self._say(lines)

    def told_again(self) -> None:
        """+CNMI was set: forwarding goes on, what was buffered is said or forgotten."""
        notify = self.settings.notify
        if notify.mode:
            buffered = [] if notify.buffer else list(self._buffered)
            self._buffered.clear()
            for code in buffered:
                self._say(code)

    def _say(self, lines: Sequence[str]) -> None:
        self._codes.append(lines)
        self._flush_codes()

    def _flush_codes(self) -> None:
        """Write codes: never into a prompt, and sometimes only with the next answer."""
        while self._codes and not self._terminal.prompting:
            lines = self._codes.popleft()
            torn = self._busy and self.behaviour.hits(self.faults.torn)
            if torn or (self._busy and self.behaviour.hits(self.faults.interleave)):
                self._held.append(HeldCode(lines, torn))
            else:
                self.output.lines(lines, self.now)


_SENDING = frozenset({"+CMGS", "+CMSS", "+CMGC"})
