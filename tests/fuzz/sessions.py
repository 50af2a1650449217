"""The session engine in both roles against any peer and any caller: a program of what either does, invariants after each.

What always holds: only the declared errors; every token has exactly one end; nothing held exceeds the windows and one
frame; everything written is a valid PDU; a timer that was served does not ask again at once; and how the octets were
cut into reads changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fuzz.pdus import commands, compose
from fuzz.script import Script

from carrier.dialect import ANSWER, Credentials, Dialect, Kind
from carrier.errors import UsageError
from carrier.events import (
    Answered,
    BindRequested,
    Closed,
    DeliverReceived,
    Event,
    Replied,
    ReportReceived,
    RequestReceived,
    Resent,
    SubmitReceived,
)
from carrier.framing import FrameBuffer
from carrier.model import BindMode, Mo, Outcome, Refusal, Report, ReportState, Role, Submit
from carrier.session import Session, SessionConfig
from carrier.states import State

WALL = 1_800_000_000.0
MODES = (BindMode.TRANSCEIVER, BindMode.TRANSMITTER, BindMode.RECEIVER, BindMode.TRANSCEIVER)
OUTCOMES, REFUSALS, STATES = tuple(Outcome), tuple(Refusal), tuple(ReportState)
_HANDLED = SubmitReceived | ReportReceived | DeliverReceived


class Run:
    """One session (and its twin, which gets every octet in other pieces), driven by a script."""

    def __init__(self, made: Dialect, script: Script, samples: list[bytes]) -> None:
        self.made, self.script, self.samples = made, script, samples
        options = script.octet()
        self.role = Role.SERVER if options & 1 else Role.CLIENT
        mode = MODES[options >> 3 & 3]
        window = 4 if options & 32 else 16
        limits = replace(made.limits, window=window, peer_window=window, attempts=2 if options & 64 else 1)
        self.config = SessionConfig(Credentials("901234", "secret", mode), limits)
        self.session = self._begin(bound=bool(options & 2))
        self.twin = self._begin(bound=bool(options & 2)) if options & 4 else None
        self.now = 0.0
        self.open: set[int] = set()
        self.handles: list[int] = []
        self.requests: list[tuple[int, str]] = []
        self.token = 0
        self.over = self.session.closed is not None
        self.latest = b""
        self.given = 64
        self.kinds = made.kinds(self.role)
        self.known = commands(made)

    def _begin(self, *, bound: bool) -> Session:
        session = Session(self.made, self.role, self.config, 0.0, wall=WALL)
        if self.role is Role.CLIENT:
            session.start(0.0)
        if not bound:
            session.bytes_to_send()
            return session
        other = Role.CLIENT if self.role is Role.SERVER else Role.SERVER
        friend = Session(self.made, other, self.config, 0.0, wall=WALL)
        client, server = (session, friend) if self.role is Role.CLIENT else (friend, session)
        if client is friend:
            friend.start(0.0)
            octets = friend.bytes_to_send()
        else:
            octets = session.bytes_to_send()
        server.receive_data(octets, 0.0)
        assert server.check_bind("secret", 0.0) is None
        server.answer_bind(None, 0.0)
        client.receive_data(server.bytes_to_send(), 0.0)
        assert session.state is State.BOUND
        return session

    # The peer -----------------------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        session = self.session
        if session.state is State.DRAINING:  # unbinding comes after the octets at hand: there the pieces do matter
            self.twin = None
        twin = self.twin
        self.given += len(data) * (2 if twin else 1)
        events = session.receive_data(data, self.now)
        assert len(session._frames._rest) <= self.made.largest_frame + len(data)
        if twin is not None:
            choice = self.script.octet()
            cut = choice * 3 % (len(data) + 1)
            parts = [data[:cut], data[cut : cut + 1], data[cut + 1 :]]
            if choice == 255:
                parts = [data[at : at + 1] for at in range(len(data))]
            others = [twin.receive_data(part, self.now) for part in parts]
            assert [event for part in others for event in part] == events, "the pieces change what happens"
        self.take(events)
        self.latest = data

    def framed(self) -> None:
        choice, sequence, status = self.script.octet(), self.script.octet(), self.script.octet()
        self.receive(compose(self.made, self.known[choice % len(self.known)], sequence, self.script.block(), status))

    def sample(self) -> None:
        """A valid PDU with one octet changed and a sequence of its own."""
        frame = bytearray(self.samples[self.script.octet() % len(self.samples)])
        at, flip, sequence = self.script.octet(), self.script.octet(), self.script.octet()
        if sequence:
            frame[self.made.header_size - 1] = sequence
        if flip:
            frame[at % len(frame)] ^= flip
        self.receive(bytes(frame))

    def reply(self) -> None:
        """An answer to what waits longest."""
        flight = self.session._in_flight
        if not flight:
            return
        sequence, pending = next(iter(flight.items()))
        command = int.from_bytes(pending.frame[4:8], "big") | ANSWER
        status = self.script.octet()
        self.receive(compose(self.made, command, sequence, self.script.block(), status))

    # The caller ---------------------------------------------------------------------------------------------------------

    def calls(self, call: Callable[[Session], object]) -> list[object]:
        """The same call on both; the declared error on one is the declared error on the other."""
        found: list[object] = []
        for session in (self.session, self.twin):
            if session is not None:
                try:
                    found.append(call(session))
                except UsageError as error:
                    found.append(type(error))
        assert len(found) == 1 or found[0] == found[1] or self.twin is None
        return found

    def text(self) -> str:
        return self.script.take(self.script.octet() % 24).decode("latin-1")

    def submit(self) -> None:
        flags = self.script.octet()
        submit = Submit(
            source=self.text() if flags & 1 else "95598",
            destination=self.text() if flags & 2 else "13800000001",
            content=self.script.block(),
            data_coding=(8, 4, 15, 0)[flags >> 2 & 3],
            udhi=bool(flags & 16),
            service_type=self.text() if flags & 32 else "",
            part_total=flags >> 6 or 1,
            more_destinations=("13800000002",) if flags & 64 else (),
        )
        self.send(lambda session, token: session.submit([(token, submit)], self.now))

    def deliver(self) -> None:
        flags = self.script.octet()
        item: Report | Mo
        if flags & 1:
            state = STATES[flags >> 1 & 7]
            item = Report(self.text(), state, True, error="001", recipient="13800000001", sender="95598")
        else:
            item = Mo("13800000001", "95598", self.script.block(), data_coding=8, udhi=bool(flags & 2))
        self.send(lambda session, token: session.deliver([(token, item)], self.now))

    def request(self) -> None:
        wanted = [number for number in self.known if self.kinds.get(number) is Kind.REQUEST and number < ANSWER]
        if wanted:
            number = wanted[self.script.octet() % len(wanted)]
            fields = {"command": self.made.codec.pdus[number].name}
            self.send(lambda session, token: session.request(token, fields, self.now))

    def send(self, write: Callable[[Session, int], None]) -> None:
        self.token += 1
        token = self.token
        if self.calls(lambda session: write(session, token))[0] is None:
            self.open.add(token)

    def answer(self) -> None:
        chosen = self.script.octet()
        status: int | Outcome = OUTCOMES[chosen % len(OUTCOMES)] if chosen & 128 else chosen & 7
        handles = self.handles + ([handle for handle, _ in self.requests] if chosen & 32 else [])
        answers = [(handle, status, "" if chosen & 64 else "12ab") for handle in handles]
        self.handles.clear()
        self.calls(lambda session: session.answer_many(answers))

    def answer_requests(self) -> None:
        for handle, name in self.requests:
            fields = {"command": f"{name}_RESP" if name.isupper() else f"{name}_{'r' if name.islower() else 'R'}esp"}
            self.calls(lambda session, h=handle, f=fields: session.answer_request(h, f))  # type: ignore[misc]
        self.requests.clear()

    def answer_bind(self) -> None:
        chosen = self.script.octet()
        refusal = REFUSALS[chosen % len(REFUSALS)] if chosen & 1 else None
        self.calls(lambda session: session.check_bind("secret", self.now))
        self.made_events(lambda session: session.answer_bind(refusal, self.now))

    def made_events(self, call: Callable[[Session], list[Event]]) -> None:
        found = self.calls(call)[0]
        if isinstance(found, list):
            self.take(found)

    def pass_time(self) -> None:
        self.now += self.script.octet() * 2.0
        for _ in range(8):
            deadline = self.session.next_deadline()
            self.made_events(lambda session: session.handle_timer(self.now))
            if deadline is None or deadline > self.now:
                return
        deadline = self.session.next_deadline()
        assert deadline is None or deadline > self.now, "a served timer asks again at once"

    # What came of it ----------------------------------------------------------------------------------------------------

    def take(self, events: list[Event]) -> None:
        for event in events:
            assert not self.over, "an event after the end"
            repr(event)
            if isinstance(event, Answered | Replied):
                self.open.remove(event.token)
            elif isinstance(event, Resent):
                assert self.open.issuperset(event.tokens)
            elif isinstance(event, _HANDLED):
                self.handles.append(event.handle)
            elif isinstance(event, RequestReceived):
                self.requests.append((event.handle, event.name))
            elif isinstance(event, Closed):
                assert self.open == set(event.unanswered)
                self.open.clear()
                self.over = True
            elif isinstance(event, BindRequested):
                assert self.role is Role.SERVER

    def check(self) -> None:
        session, limits = self.session, self.config.limits
        assert limits is not None
        written = session.bytes_to_send()
        frames = FrameBuffer(session.dialect)
        for _, _, frame in frames.feed(written):
            assert session.dialect.encode(session.dialect.decode(frame)) == frame, "we wrote what is no PDU"
        assert not frames._rest
        assert not frames.fault
        assert session.unanswered <= limits.peer_window
        assert len(session._inbox._answers) <= limits.peer_window
        assert set(session.in_flight) == self.open
        assert len(self.open) <= limits.window
        assert (session.closed is not None) == self.over == (session.state is State.CLOSED)
        if self.twin is not None:
            assert self.twin.bytes_to_send() == written
            assert self.twin.state is session.state


def check_session(made: Dialect, script: Script, samples: list[bytes]) -> int:
    """Run a script; returns the octets received, 64 added for every step."""
    run = Run(made, script, samples)
    steps: tuple[Callable[[], object], ...] = (
        lambda: run.receive(script.block()),
        run.framed,
        run.sample,
        run.reply,
        run.pass_time,
        run.answer,
        run.submit,
        run.deliver,
        run.request,
        run.answer_requests,
        run.answer_bind,
        lambda: run.receive(run.latest),
        lambda: run.made_events(lambda session: session.unbind(run.now)),
        lambda: run.made_events(lambda session: session.receive_eof(run.now)),
        run.sample,
        run.sample,
    )
    run.check()
    while script.more:
        steps[script.octet() & 15]()
        run.given += 64
        run.check()
    return run.given
