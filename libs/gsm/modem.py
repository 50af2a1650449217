"""A GSM modem in PDU mode as a pure session: set it up, send one message at a time, hand over what arrives.

Each task is a generator that yields commands and gets their answers, so a dialogue reads from top to bottom. Received
messages stay in the modem (or unacknowledged on the network) until the caller says that they are stored durably.
Time is an argument, deadlines are return values, octets go in and out; the caller owns the port.
"""

import re
from collections import deque
from collections.abc import Generator
from typing import Final

from gsm.at_channel import ESCAPE, Answer, Channel, Command
from gsm.at_lines import Unsolicited
from gsm.codes import CMS_ERROR, Action, action_of
from gsm.faults import GsmError
from gsm.frame import Frame, announced_length, encode_frame, octets_of
from gsm.modem_events import (
    Config,
    Event,
    Garbled,
    Level,
    Lost,
    Ready,
    Received,
    Refused,
    Sent,
    State,
    Stopped,
    Uncertain,
)

Task = Generator[Command, Answer, None]
Place = tuple[str, int]
"""A storage and an index in it."""

_STORED: Final = re.compile(r'"?([A-Z]{2})"?,\s*(\d{1,5})\Z', re.ASCII)
# The length stands behind the last comma: a lazy search for it would take quadratic time on a line of noise.
_LISTED: Final = re.compile(r"\+CMGL:\s*(\d{1,5}),\s*(\d),(?:.*,)?\s*(\d{1,3})\Z", re.ASCII)
_READ: Final = re.compile(r"\+CMGR:\s*(\d),(?:.*,)?\s*(\d{1,3})\Z", re.ASCII)
_REFERENCE: Final = re.compile(r"\+CMGS:\s*(\d{1,3})", re.ASCII)
_RESTARTS: Final = frozenset({"RDY", "^SYSSTART", "SYSSTART"})
_CARD_FAULTS: Final = {310: "sim_missing", 311: "pin_required", 316: "sim_puk", 318: "sim_puk"}
_MOST_PENDING: Final = 4096  # messages handed over and not yet acknowledged


_MOVES: Final[dict[State, frozenset[State]]] = {
    State.DOWN: frozenset({State.STARTING, State.LOST}),
    State.STARTING: frozenset({State.READY, State.STOPPED, State.LOST, State.STARTING}),
    State.READY: frozenset({State.STARTING, State.STOPPED, State.LOST}),
    State.STOPPED: frozenset({State.STARTING, State.LOST}),
    State.LOST: frozenset(),
}


class Modem:
    """One modem on one port; write `bytes_to_send` after every call."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._channel = Channel()
        self._state = State.DOWN
        self._task: Task | None = None
        self._urgent: deque[Task] = deque()
        self._tasks: deque[Task] = deque()
        self._events: list[Event] = []
        self._sending: int | None = None
        self._silent = 0
        self._storage = ""
        self._home = ""
        self._confirms = False
        self._notifications = ""
        self._next_poll: float | None = None
        self._handles = 0
        self._pending: dict[int, Place | None] = {}
        self._texts: dict[int, str] = {}
        self._undeleted: dict[Place, str] = {}
        self._now = 0.0

    @property
    def state(self) -> State:
        """Where the session is."""
        return self._state

    @property
    def free(self) -> bool:
        """Whether `send` may be called."""
        return self._state is State.READY and self._sending is None

    def start(self, now: float) -> None:
        """Begin setting up, also again after `Stopped`."""
        self._now = now
        self._restart()
        self._advance()

    def send(self, token: int, frame: Frame, now: float) -> None:
        """Send a SUBMIT; `token` comes back in its event. Raises `GsmError`: not ready, one in flight, bad fields."""
        if self._state is not State.READY:
            raise GsmError("not_ready")
        if self._sending is not None:
            raise GsmError("busy")
        payload = encode_frame(frame).hex().upper().encode("ascii")
        length = announced_length(frame)
        self._now = now
        self._sending = token
        self._tasks.append(self._send(token, length, payload))
        self._advance()

    def acknowledge(self, handle: int, now: float) -> None:
        """The received message is durable: delete it from the storage, or confirm it to the network."""
        if handle not in self._pending:
            raise GsmError("unknown_handle")
        self._now = now
        place = self._pending[handle]
        if place is None:
            del self._pending[handle]
            if self._confirms:
                self._urgent.append(self._confirm())
        else:
            text = self._texts.pop(handle, None)
            if text is not None:  # else it is being deleted already
                self._undeleted[place] = text
                self._tasks.append(self._delete(handle, place))
        self._advance()

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """What the modem said; never raises. After `Lost` nothing is listened to any more."""
        self._now = now
        if self._state is State.LOST:
            return []
        for item in self._channel.receive(data, now):
            if isinstance(item, Unsolicited):
                self._unsolicited(item)
            else:
                self._silent = 0
                self._step(item)
        self._advance()
        return self._take()

    def bytes_to_send(self) -> bytes:
        """What to write to the port; each octet is given once."""
        return self._channel.bytes_to_send()

    def next_deadline(self) -> float | None:
        """When `handle_timer` has something to do; None when only the modem can move things."""
        waiting = self._channel.next_deadline()
        if waiting is not None:
            return waiting
        return self._next_poll if self._state is State.READY else None

    def handle_timer(self, now: float) -> list[Event]:
        """Overdue answers and polling."""
        self._now = now
        answer = self._channel.handle_timer(now)
        if answer is not None:
            self._silent += 1
            if self._silent >= self._config.patience:
                self._give_up()
            else:
                self._step(answer)
        if self._state is State.READY and self._next_poll is not None and now >= self._next_poll:
            self._next_poll = now + self._config.poll_every
            self._tasks.append(self._poll())
        self._advance()
        return self._take()

    def receive_eof(self, now: float) -> list[Event]:
        """The port is gone: the message in flight gets its event, then `Lost`, once."""
        self._now = now
        if self._state is not State.LOST:
            self._give_up()
        return self._take()

    # -- tasks ---------------------------------------------------------------------------------------------------

    def _restart(self) -> None:
        self._settle()
        self._move(State.STARTING)
        self._task = None
        self._urgent.clear()
        self._tasks.clear()
        self._texts.clear()
        self._pending.clear()  # what was not acknowledged is still in the modem and will be listed again
        self._channel = Channel()
        self._silent = 0
        self._next_poll = None
        self._tasks.append(self._set_up())

    def _advance(self) -> None:
        """Begin the next task when none runs. A task's first command goes out at once."""
        while self._task is None and self._state is not State.LOST and (self._urgent or self._tasks):
            self._task = self._urgent.popleft() if self._urgent else self._tasks.popleft()
            self._step(None)

    def _step(self, answer: Answer | None) -> None:
        task = self._task
        if task is None:
            return
        try:
            command = next(task) if answer is None else task.send(answer)
        except StopIteration:
            self._task = None
        else:
            self._channel.send(command, self._now)

    def _ask(self, text: str) -> Command:
        return Command(text, self._config.command_wait)

    def _set_up(self) -> Task:
        self._channel.write(ESCAPE)  # leaves a prompt that an earlier owner of the port may have left open
        for text in ("ATZ", "ATE0", "AT+CMEE=1"):
            yield self._ask(text)
        if not (yield from self._unlock()):
            return
        answer = yield self._ask("AT+CMGF=0")
        if not answer.ok:
            self._stop("setup_refused", f"AT+CMGF=0: {answer.text}")
            return
        answer = yield self._ask("AT+CSMS=1")
        self._confirms = answer.ok and _field(answer, "+CSMS:", 0) == 1
        if not self._confirms:
            yield self._ask("AT+CSMS=0")
        if self._config.centre:
            yield self._ask(f'AT+CSCA="{self._config.centre}",{145 if self._config.centre[0] == "+" else 129}')
        if not (yield from self._subscribe()):
            return
        serial = yield self._ask("AT+CGSN")
        operator = yield self._ask("AT+COPS?")
        centre = yield self._ask("AT+CSCA?")
        level = yield from self._measure()
        self._move(State.READY)
        self._next_poll = self._now + self._config.poll_every
        self._events.append(Ready(serial.lines[0] if serial.lines else "", _quoted(operator), _quoted(centre), *level))
        self._tasks.append(self._drain())

    def _unlock(self) -> Generator[Command, Answer, bool]:
        answer = yield self._ask("AT+CPIN?")
        status = _text(answer, "+CPIN:")
        if status == "SIM PIN":
            if not self._config.pin:
                return self._stop("pin_required")
            # Once only: a third wrong try would lock the SIM.
            answer = yield self._ask(f'AT+CPIN="{self._config.pin}"')
            return answer.ok or self._stop("pin_refused", answer.text)
        if status.startswith(("SIM PUK", "SIM PIN2", "SIM PUK2", "PH-")):
            return self._stop("sim_puk" if "PUK" in status else "sim_failure", status)
        if not answer.ok and action_of(answer.code) is Action.STOP:
            return self._stop(_CARD_FAULTS.get(answer.code or 0, "sim_failure"), answer.text)
        return True

    def _subscribe(self) -> Generator[Command, Answer, bool]:
        for storage in self._config.storages:
            answer = yield self._ask(f'AT+CPMS="{storage}","{storage}","{storage}"')
            if answer.ok:
                self._storage = self._home = storage
                break
        else:
            return self._stop("setup_refused", "AT+CPMS")
        for setting in self._config.notifications:
            answer = yield self._ask(f"AT+CNMI={setting}")
            if answer.ok:
                self._notifications = setting
                return True
        return self._stop("setup_refused", "AT+CNMI")

    def _measure(self) -> Generator[Command, Answer, tuple[int | None, int | None]]:
        signal = yield self._ask("AT+CSQ")
        registration = yield self._ask("AT+CREG?")
        return _field(signal, "+CSQ:", 0), _field(registration, "+CREG:", 1)

    def _poll(self) -> Task:
        level = yield from self._measure()
        self._events.append(Level(*level))
        # A modem whose confirmation got lost ceases to forward some time later and says nothing of it.
        yield self._ask(f"AT+CNMI={self._notifications}")
        yield from self._drain()  # and an indication may have got lost, too

    def _send(self, token: int, length: int, payload: bytes) -> Task:
        answer = yield Command(f"AT+CMGS={length}", self._config.send_wait, payload)
        reference = _reference(answer.lines)
        if answer.ok and reference is not None:
            self._sending = None
            self._events.append(Sent(token, reference))
        elif answer.ok or answer.timed_out:
            self._settle()
            yield self._ask("AT")  # in step again, or counted as one more silence
        else:
            self._sending = None
            text = answer.text if answer.code is None else CMS_ERROR.get(answer.code, answer.text)
            action = action_of(answer.code)
            self._events.append(Refused(token, answer.code, text, action))
            if action is Action.CLEAN:
                self._tasks.append(self._drain())
            elif action is Action.STOP:
                self._stop("sim_failure", text)

    def _drain(self) -> Task:
        """Hand over everything stored that has not been."""
        storages = [self._home]
        if self._notifications.split(",")[3:4] == ["2"]:
            storages.append("SR")  # where most modems keep the reports that they announce by +CDSI
        for storage in storages:
            if (yield from self._select(storage)):
                answer = yield Command("AT+CMGL=4", self._config.send_wait)
                for line, pdu in zip(answer.lines, answer.lines[1:], strict=False):
                    match = _LISTED.match(line)
                    if match and match[2] in "01":  # 2 and 3 are our own messages stored
                        self._hand_over(pdu, int(match[3]), (storage, int(match[1])))

    def _fetch(self, place: Place) -> Task:
        if not (yield from self._select(place[0])):
            return
        answer = yield self._ask(f"AT+CMGR={place[1]}")
        found = False
        for line, pdu in zip(answer.lines, answer.lines[1:], strict=False):
            match = _READ.match(line)
            if match:
                found = len(pdu) >= 2 * int(match[2])
                self._hand_over(pdu, int(match[2]), place)
        if not found:
            self._tasks.append(self._drain())

    def _delete(self, handle: int, place: Place) -> Task:
        for _ in range(2):
            # Never in another storage: the same index is another message there.
            if (yield from self._select(place[0])) and (yield self._ask(f"AT+CMGD={place[1]}")).ok:
                self._undeleted.pop(place, None)
                break
        self._pending.pop(handle, None)  # if it is still there, the next listing finds it and deletes it

    def _select(self, storage: str) -> Generator[Command, Answer, bool]:
        if storage != self._storage:
            answer = yield self._ask(f'AT+CPMS="{storage}"')
            if answer.ok:
                self._storage = storage
        return storage == self._storage

    def _confirm(self) -> Task:
        answer = yield self._ask("AT+CNMA")
        if answer.timed_out:
            answer = yield self._ask("AT+CNMA")
        if not answer.ok:  # too late: the modem has ceased to forward and must be told again (TS 27.005 clause 3.4.4)
            yield self._ask(f"AT+CNMI={self._notifications}")

    # -- what comes unasked ----------------------------------------------------------------------------------------

    def _unsolicited(self, item: Unsolicited) -> None:
        if item.name in ("+CMT", "+CDS"):
            length = item.rest.rpartition(",")[2].strip()
            self._hand_over(item.pdu or "", int(length) if length.isascii() and length.isdigit() else None, None)
        elif item.name in ("+CMTI", "+CDSI"):
            match = _STORED.match(item.rest)
            if match and self._state is State.READY:  # while setting up the listing at its end finds it
                self._tasks.append(self._fetch((match[1], int(match[2]))))
        elif item.name in _RESTARTS and self._state is State.READY:
            self._restart()

    def _hand_over(self, pdu: str, length: int | None, place: Place | None) -> None:
        if place is not None:
            if place in self._pending.values():
                return
            if self._undeleted.get(place) == pdu:  # known and acknowledged: only deleting it had failed
                self._tasks.append(self._delete(0, place))
                return
        try:
            octets = octets_of(pdu)
        except GsmError:
            octets = b""
        if not octets or len(octets) < (length or 0):  # also a line that an unsolicited code tore apart
            self._events.append(Garbled(pdu))
        elif len(self._pending) < _MOST_PENDING:  # above it the message stays stored, unread
            self._handles += 1
            self._pending[self._handles] = place
            if place is not None:
                self._texts[self._handles] = pdu
            self._events.append(Received(self._handles, octets, length))

    # -- ends --------------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Give the message in flight its event, when nothing will come for it any more."""
        if self._sending is None:
            return
        token, self._sending = self._sending, None
        if self._channel.delivered:
            self._events.append(Uncertain(token))
        else:
            self._events.append(Refused(token, None, "not taken by the modem", Action.RETRY))

    def _give_up(self) -> None:
        self._settle()
        self._task = None
        self._channel = Channel()
        self._move(State.LOST)
        self._events.append(Lost())

    def _stop(self, reason: str, detail: str = "") -> bool:
        self._settle()
        self._tasks.clear()
        self._urgent.clear()
        self._move(State.STOPPED)
        self._events.append(Stopped(reason, detail))
        return False

    def _move(self, state: State) -> None:
        if state not in _MOVES[self._state]:
            raise GsmError("not_ready")
        self._state = state

    def _take(self) -> list[Event]:
        events, self._events = self._events, []
        return events


def _reference(lines: tuple[str, ...]) -> int | None:
    """The reference of a +CMGS, put together when an unsolicited code tore its digits apart; None when there is none."""
    for line, below in zip(lines, (*lines[1:], ""), strict=False):
        match = _REFERENCE.match(line)
        if match:
            torn = below.isascii() and below.isdigit() and match.end() == len(line)
            reference = int(match[1] + below) if torn and len(below) < 3 else int(match[1])
            return reference if reference <= 0xFF else None
    return None


def _text(answer: Answer, prefix: str) -> str:
    return next((line[len(prefix) :].strip() for line in answer.lines if line.startswith(prefix)), "")


def _field(answer: Answer, prefix: str, at: int) -> int | None:
    """Number `at` of a line such as `+CSQ: 20,99`; None when there is none."""
    parts = _text(answer, prefix).split(",")
    digits = parts[at].strip() if at < len(parts) else ""
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 9 else None


def _quoted(answer: Answer) -> str:
    """The first quoted string of an answer."""
    pieces = " ".join(answer.lines).split('"')
    return pieces[1] if len(pieces) > 2 else ""
