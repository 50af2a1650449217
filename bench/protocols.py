"""100,000 messages a protocol against its misbehaving simulated carrier: nothing lost, every segment's receipt matched.

Carrier: 10 % of receipts out of order, 5 % before the answer to their submit, 1 % twice, 1 % of submits throttled,
answers out of order, and a session cut every second.  Client: the engine, resending what a cut left uncertain.  Every
tenth message has two segments.  In SGIP the receipts come on the carrier's own connection to our listener.
Both sides share this process and its core, so the figure is messages a second of both together.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, replace

import structlog
import uvloop

from carrier.dialect import Credentials, Dialect
from carrier.dialects import NAMES, dialect
from carrier.events import Answered, BindRequested, Bound, Closed, Event, ReportReceived
from carrier.ids import canonical
from carrier.model import Outcome, Role, Submit
from carrier.session import Session, SessionConfig
from sim.carrier.faults import Faults
from sim.carrier.gateway import Account, Gateway

FAULTS = Faults(
    receipt_delay_ms=5,
    receipt_reorder=0.10,
    reorder_ms=50,
    receipt_before_response=0.05,
    receipt_duplicate=0.01,
    throttle=0.01,
    latency_jitter_ms=5,
    disconnect_every_s=1.0,
)
SESSIONS = 2
WINDOW = 100
_FIRST_PHONE = 8613800000000
_LONG_EVERY = 10


@dataclass(frozen=True)
class Result:
    """What one run showed. ``lost`` segments were never accepted, ``unmatched`` receipts belong to nothing we sent."""

    protocol: str
    messages: int
    segments: int
    seconds: float
    lost: int
    without_receipt: int
    unmatched: int
    matched_by_recipient: int
    """Receipts of submits whose answer a cut swallowed: no id is known, the recipient says whose they are."""
    resent: int
    throttled: int
    cuts: int
    doubled_receipts: int

    @property
    def faultless(self) -> bool:
        """Whether nothing was lost and every receipt found its segment."""
        return not (self.lost or self.without_receipt or self.unmatched)


class Ledger:
    """Segments to send, what became of them, and receipts that came before their id was known. A segment is a token."""

    def __init__(self, kind: Dialect, messages: int) -> None:
        self._kind = kind
        self.submits: list[Submit] = []
        for number in range(messages):
            self.submits += self._segments(number)
        self.waiting = deque(range(len(self.submits)))
        self.accepted: dict[int, str] = {}
        self.by_id: dict[str, int] = {}
        self.early: dict[str, list[str]] = {}
        self.reported: Counter[int] = Counter()
        self.uncertain: set[int] = set()
        self.counts: Counter[str] = Counter()
        self.finished = asyncio.Event()
        self._segments_of: dict[str, list[int]] = {}
        for token, submit in enumerate(self.submits):
            self._segments_of.setdefault(submit.destination, []).append(token)

    def _segments(self, number: int) -> list[Submit]:
        phone = str(_FIRST_PHONE + number)
        if number % _LONG_EVERY:
            return [Submit("10690001", phone, b"Your code is %06d" % number, data_coding=0)]
        coding = self._kind.codings["ucs2"]
        return [
            Submit("10690001", phone, bytes((5, 0, 3, number & 0xFF, 2, part)) + b"\x75\x35" * 67, coding, udhi=True)
            for part in (1, 2)
        ]

    def answered(self, answer: Answered) -> None:
        """Take an answer: accepted, or once more."""
        if answer.outcome is not Outcome.OK:
            self.counts[answer.outcome] += 1
            self.waiting.append(answer.token)
            return
        own_id = canonical(answer.message_id)
        self.accepted[answer.token] = own_id
        self.by_id[own_id] = answer.token
        for _ in self.early.pop(own_id, ()):
            self._count(answer.token)

    def cut(self, tokens: tuple[int, ...]) -> None:
        """Take back what was written and not answered: it may have been accepted, so it may be sent twice."""
        self.counts["resent"] += len(tokens)
        self.uncertain.update(tokens)
        self.waiting.extendleft(reversed(tokens))

    def report(self, message_id: str, recipient: str) -> None:
        """Take a receipt."""
        token = self.by_id.get(canonical(message_id))
        if token is None:
            self.early.setdefault(canonical(message_id), []).append(recipient)
        else:
            self._count(token)

    def _count(self, token: int) -> None:
        self.reported[token] += 1
        if len(self.reported) == len(self.submits):
            self.finished.set()

    def settle(self) -> int:
        """Match what is left by its recipient, where that recipient had an uncertain segment; returns the rest."""
        left = 0
        for recipients in self.early.values():
            for recipient in recipients:
                if self.uncertain.intersection(self._segments_of.get(recipient, ())):
                    self.counts["by_recipient"] += 1
                else:
                    left += 1
        return left


class Link(asyncio.Protocol):
    """One session of ours; as a server it is where an SGIP carrier brings its receipts."""

    def __init__(self, kind: Dialect, ledger: Ledger, serial: int, *, role: Role = Role.CLIENT) -> None:
        limits = replace(kind.limits, window=WINDOW, peer_window=10_000, attempts=1)
        # Sessions of one node must not share sequences, which are message ids in SGIP: each starts elsewhere.
        config = SessionConfig(Credentials("bench", "secret"), limits, sequence=(serial << 20) % 0x7FFFFFFF + 1)
        self.session = Session(kind, role, config, time.monotonic(), wall=time.time())
        self._ledger = ledger
        self._transport: asyncio.Transport | None = None
        self.over = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's is none by inheritance
        if self.session.role is Role.CLIENT:
            self.session.start(time.monotonic())
        self._write()

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self._take(self.session.receive_data(data, now), now)
        self.fill()

    def connection_lost(self, exc: Exception | None) -> None:
        now = time.monotonic()
        self._take(self.session.receive_eof(now), now)
        self.over.set()

    def fill(self) -> None:
        """Submit as much as the window takes, and write."""
        waiting = self._ledger.waiting
        room = min(self.session.window_free, len(waiting)) if self.session.role is Role.CLIENT else 0
        if room:
            tokens = [waiting.popleft() for _ in range(room)]
            self.session.submit([(token, self._ledger.submits[token]) for token in tokens], time.monotonic())
        self._write()

    def close(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _take(self, news: list[Event], now: float) -> None:
        handles = []
        for event in news:
            if isinstance(event, Answered):
                self._ledger.answered(event)
            elif isinstance(event, ReportReceived):
                handles.append(event.handle)
                self._ledger.report(event.report.message_id, event.report.recipient)
            elif isinstance(event, BindRequested):
                self.session.answer_bind(self.session.check_bind("secret", now), now)
            elif isinstance(event, Closed):
                self._ledger.cut(event.unanswered)
            elif not isinstance(event, Bound):
                raise RuntimeError(f"the carrier did what it never should: {event}")  # noqa: TRY004 - no type is wrong
        self.session.acknowledge(handles)

    def _write(self) -> None:
        octets = self.session.bytes_to_send()
        if octets and self._transport is not None and not self._transport.is_closing():
            self._transport.write(octets)


async def _keep_open(kind: Dialect, ledger: Ledger, port: int, slot: int, links: set[Link]) -> None:
    """One session, again and again."""
    loop = asyncio.get_running_loop()
    serial = slot
    while True:
        _, link = await loop.create_connection(lambda: Link(kind, ledger, serial), "127.0.0.1", port)
        links.add(link)
        await link.over.wait()
        links.discard(link)
        serial += SESSIONS


async def prove(protocol: str, messages: int, faults: Faults = FAULTS, *, seconds: float = 120.0) -> Result:
    """Send ``messages`` and wait for every segment's receipt; raises `TimeoutError` when that takes too long."""
    kind = dialect(protocol, {"node_id": 3075512345} if protocol == "sgip12" else None)
    ledger, links, loop = Ledger(kind, messages), set[Link](), asyncio.get_running_loop()
    account, desk = Account("bench", "secret", SESSIONS), None
    if protocol == "sgip12":
        desks: list[Link] = []

        def open_desk() -> Link:
            desks.append(Link(kind, ledger, 0, role=Role.SERVER))
            links.add(desks[-1])
            return desks[-1]

        desk = await loop.create_server(open_desk, "127.0.0.1", 0)
        where = f"127.0.0.1:{desk.sockets[0].getsockname()[1]}"
        account = Account("bench", "secret", SESSIONS, where, listener_secret="secret")
    gateway = Gateway(dialect(protocol), [account], faults)
    port = await gateway.listen("127.0.0.1", 0)
    started = time.monotonic()
    work = [asyncio.create_task(gateway.run())]
    work += [asyncio.create_task(_keep_open(kind, ledger, port, slot, links)) for slot in range(SESSIONS)]
    try:
        async with asyncio.timeout(seconds):
            await ledger.finished.wait()
            took = time.monotonic() - started
            # Doubled and uncertain ones may still be on their way: the carrier knows when it has none left.
            while gateway.stats.account("bench").counts["receipts_waiting"] > 0:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
    finally:
        for task in work:
            task.cancel()
        for link in list(links):
            link.close()
            await link.over.wait()
        await gateway.close()
        if desk is not None:
            desk.close()
        await asyncio.gather(*work, return_exceptions=True)
    unmatched = ledger.settle()
    counts = gateway.stats.account("bench").counts
    return Result(
        protocol,
        messages,
        len(ledger.submits),
        took,
        lost=len(ledger.submits) - len(ledger.accepted),
        without_receipt=len(ledger.submits) - len(ledger.reported),
        unmatched=unmatched,
        matched_by_recipient=ledger.counts["by_recipient"],
        resent=ledger.counts["resent"],
        throttled=ledger.counts[Outcome.THROTTLED],
        cuts=counts["disconnects"],
        doubled_receipts=sum(count - 1 for count in ledger.reported.values()),
    )


def main(arguments: list[str]) -> int:
    """Run what was asked; 1 when anything was lost."""
    parser = argparse.ArgumentParser(prog="bench protocols", description=__doc__)
    parser.add_argument("--protocol", action="append", choices=sorted(NAMES))
    parser.add_argument("--messages", type=int, default=100_000)
    options = parser.parse_args(arguments)
    # A line for every cut would be most of the output.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    fine = True
    for protocol in options.protocol or sorted(NAMES):
        result = uvloop.run(prove(protocol, options.messages, seconds=options.messages / 500 + 60))
        fine = fine and result.faultless
        print(
            f"{result.protocol}: {result.messages:,} messages ({result.segments:,} segments) in {result.seconds:.1f} s, "
            f"{result.segments / result.seconds:,.0f} segments/s; lost {result.lost}, without a receipt "
            f"{result.without_receipt}, receipts unmatched {result.unmatched}; throttled {result.throttled}, "
            f"cuts {result.cuts}, resent {result.resent}, receipts doubled {result.doubled_receipts}, "
            f"matched by recipient {result.matched_by_recipient}",
            flush=True,
        )
    return 0 if fine else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
