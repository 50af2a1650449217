"""What this worker knows of one link: its settings, limiter, sessions, and the claimed work of every class."""

from __future__ import annotations

from carrier.events import Answered
from carrier.model import Outcome
from contracts.lanes import LANES, Lane
from dispatch import metrics
from dispatch.adapters.listener import Listener
from dispatch.adapters.session import SlotSession
from dispatch.domain.fairness import RoundRobin, bulk_share
from dispatch.domain.limiter import ResponseTimedLimiter
from dispatch.domain.linkconfig import MAX_SEGMENTS, LinkConfig
from dispatch.domain.wire import Writer
from dispatch.domain.work import Work

MARKETING = Lane.MARKETING.rank
ASCII = 1
"""The data coding that says ASCII to everybody (protocols.md 1.2)."""

LEAST_PIECE = 50
MOST_PIECE = 500
"""Messages of one item claimed at once: a whole item where the link is quick, less where it would be held for long."""


class LinkState:
    """One link in this worker."""

    def __init__(self, config: LinkConfig, now: float) -> None:
        self.config = config
        self.dialect = config.dialect()
        self.writer = Writer(config, self.dialect)
        self.limiter = ResponseTimedLimiter(0, now)
        self.coding_zero = 0 if "gsm7" in self.dialect.codings else ASCII
        """What data coding 0 of a message from a phone is stored as: plain ASCII where the protocol has no GSM alphabet."""
        self.sessions: dict[int, SlotSession] = {}
        self.listener: Listener | None = None
        """Where the carrier's own connections come in, while a slot is ours."""
        self.queues: list[RoundRobin[Work]] = [RoundRobin() for _ in LANES]
        self.eligible = True
        """Whether the link may take work now: active, and no link before it in its group is up."""
        self.alternatives = False
        """Whether another link of the group could take what failed here."""
        self.cap: int | None = None
        """The rate being lowered to, until the lower tokens are committed."""
        self.sendable_at = now
        """When it last could send."""
        self.idle_pass = False
        """The last cycle had claimed work here and could grant none of it."""
        self.cursors = ["" for _ in LANES]
        self.due = [True for _ in LANES]
        """Whether something of a class may be there to claim: told by an intake, a look at the table, or the last claim."""
        bulk = max(bulk_share(config.window), min(config.window, MAX_SEGMENTS))
        self.shares = [config.window, bulk, bulk, bulk]
        """Most of a session's window each class may use (architecture.md, "Priority")."""
        self.submitted = [metrics.SUBMITTED.labels(config.name, lane.value) for lane in LANES]
        self.receipts_matched = metrics.RECEIPTS.labels(config.name, "matched")
        self._accepted: list[tuple[float, int]] = []
        self.answered = {outcome: metrics.ANSWERED.labels(config.name, outcome.value) for outcome in Outcome}

    @property
    def name(self) -> str:
        """The link's name."""
        return self.config.name

    def lead(self) -> SlotSession | None:
        """Return the session under whose slot items are claimed: the lowest that is ours."""
        return self.sessions[min(self.sessions)] if self.sessions else None

    def sendable(self, now: float) -> bool:
        """Whether any session may be granted something."""
        return self.eligible and any(session.ready(now) for session in self.sessions.values())

    def wanted(self, lane: int) -> int:
        """Return how many messages of a class should be claimed in addition, 0 when there are enough."""
        have = sum(work.n - work.pos for work in self.queues[lane].sources())
        want = max(LEAST_PIECE, min(3 * self.config.window * len(self.sessions), 2 * self.limiter.rate))
        return max(0, want - have)

    def piece(self, *, first: bool) -> int:
        """Return how much of one item to claim at most: about two seconds of our share of the rate for the first, little for others.

        Others are those claimed beside enough work, so that every enterprise gets its turn.
        """
        seconds = 2.0 if first else 0.25
        return min(MOST_PIECE, max(LEAST_PIECE, int(seconds * self.limiter.rate)))

    def loaded(self) -> bool:
        """Whether any class has claimed work."""
        return any(len(queue) for queue in self.queues)

    def drop_work(self, claim: tuple[str, int] | None = None) -> None:
        """Forget claimed work, all of it or that claimed under a slot; the table still has it."""
        for queue in self.queues:
            for work in queue.sources():
                if claim is None or work.claim == claim:
                    queue.remove(work)

    def judge(self, answer: Answered, now: float) -> None:
        """Let the limiter learn from an answer that is not plainly accepted."""
        self.settle()
        self.answered[answer.outcome].inc()
        self.limiter.answered(1, now)
        if answer.outcome is Outcome.THROTTLED:
            self.limiter.throttled(now)

    def accept(self, count: int, at: float) -> None:
        """Count accepted answers read at ``at``; `settle` tells the limiter of those of a cycle."""
        self._accepted.append((at, count))

    def settle(self) -> None:
        """Tell the limiter of the accepted answers, each since when it was read: what a cycle takes is no part of the round trip."""
        if not self._accepted:
            return
        accepted, self._accepted = self._accepted, []
        for at, count in accepted:
            self.limiter.answered(count, at)
        self.limiter.accepted()
        self.answered[Outcome.OK].inc(sum(count for _, count in accepted))
