"""What the simulated carrier saw, counted: the other side's truth for every test of loss and duplication.

Pure: time is an argument (monotonic seconds).  Memory grows by about 100 octets a message since the last reset.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

import msgspec
import xxhash

_JOINING_AT_MOST = 200_000
"""Unfinished long messages kept; beyond it the oldest are given up and counted: a broken client cannot fill memory."""

_ARRIVALS = 200_000
"""Arrivals of the watched sender kept; beyond, none is noted."""

_SAMPLES = 200
"""Latest messages kept for a person to look at."""


COUNTERS: tuple[str, ...] = (
    "submits",
    "accepted",
    "rejected",
    "throttled",
    "over_window",
    "unanswered",
    "receipts_sent",
    "receipts_answered",
    "receipts_waiting",
    "mo_sent",
    "mo_answered",
    "bind_attempts",
    "binds_accepted",
    "binds_refused",
    "over_sessions",
    "disconnects",
    "replaced",
    "garbage",
    "calls",
    "calls_failed",
    "peer_errors",
)
"""Counters of an account and, summed, of the simulator."""


class Received(msgspec.Struct, frozen=True, gc=False):
    """One whole message as the wire had it: it is only decoded when somebody looks."""

    sender: str
    recipient: str
    content: bytes
    data_coding: int
    segments: int
    account: str


class RateGauge:
    """Exact greatest number of events in any half-open second, as seen on arrival."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self.greatest = 0

    def add(self, now: float) -> None:
        """Count one event at ``now`` (monotonic seconds, never falling)."""
        times = self._times
        times.append(now)
        horizon = now - 1.0
        while times[0] <= horizon:
            times.popleft()
        self.greatest = max(self.greatest, len(times))

    def within_last_second(self, now: float) -> int:
        """Return the events of the second that ends now."""
        times = self._times
        while times and times[0] <= now - 1.0:
            times.popleft()
        return len(times)


class AccountStats:
    """Counters of one account (system_id, sp_id, ...)."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.submit_rate = RateGauge()
        self.accept_rate = RateGauge()
        self.sessions = 0
        self.sessions_max = 0

    def session_opened(self) -> None:
        """A bind was accepted."""
        self.sessions += 1
        self.sessions_max = max(self.sessions_max, self.sessions)

    def session_closed(self) -> None:
        """A bound session ended."""
        self.sessions -= 1

    def restart(self) -> AccountStats:
        """Return counters at zero that still know the open sessions."""
        fresh = AccountStats()
        fresh.sessions = fresh.sessions_max = self.sessions
        fresh.accept_rate = self.accept_rate  # a rate limit does not begin anew because somebody counts anew
        return fresh


class Stats:
    """All counters since the last reset, over all accounts; ``counters`` names those that are always shown."""

    def __init__(self, counters: tuple[str, ...] = COUNTERS) -> None:
        self._counters = counters
        self.accounts: dict[str, AccountStats] = {}
        self._seen: dict[bytes, int] = {}
        self._parts: dict[tuple[str, str, int, int], dict[int, bytes]] = {}
        self._finished: set[bytes] = set()
        self.duplicates = 0
        self.given_up = 0
        self.samples: deque[Received] = deque(maxlen=_SAMPLES)
        self.watched = ""
        self.arrivals: list[tuple[str, float]] = []

    def account(self, name: str) -> AccountStats:
        """Return the account's counters, new ones for a name not seen before."""
        found = self.accounts.get(name)
        if found is None:
            found = self.accounts[name] = AccountStats()
        return found

    def watch(self, sender: str) -> None:
        """Note from now on when submits of a sender arrive; nobody's when empty."""
        self.watched = sender
        self.arrivals.clear()

    def arrived(self, recipient: str, wall: float) -> None:
        """A submit of the watched sender came at Unix time ``wall`` in seconds."""
        if len(self.arrivals) < _ARRIVALS:
            self.arrivals.append((recipient, wall))

    def reset(self) -> None:
        """Forget everything but the sessions that are open."""
        self.accounts = {name: account.restart() for name, account in self.accounts.items()}
        self._seen.clear()
        self._parts.clear()
        self._finished.clear()
        self.samples.clear()
        self.arrivals.clear()
        self.duplicates = self.given_up = 0

    def message(self, sender: str, recipient: str, content: bytes, coding: int) -> bool:
        """Count a message of one segment; returns whether it is the first of its kind."""
        return self._count(_digest(sender, recipient, content, coding))

    def segment(
        self, sender: str, recipient: str, content: bytes, coding: int, part: tuple[int, int, int], *, by: str = ""
    ) -> bytes | None:
        """Count one segment; ``part`` is (reference, total, number), ``by`` who sent it where that is not the sender.

        Returns the joined content when this segment completes its message.  One seen before is a duplicate.
        """
        reference, total, number = part
        key = (sender + by, recipient, reference, total)
        digest = _digest(sender + by, recipient, content, reference << 16 | number << 8 | coding)
        if digest in self._finished:
            self.duplicates += 1
            return None
        self._finished.add(digest)
        if total < 1 or not 1 <= number <= total:
            self._count(digest)
            return content
        parts = self._parts.setdefault(key, {})
        parts[number] = content
        if len(parts) < total:
            if len(self._parts) > _JOINING_AT_MOST:
                self._parts.pop(next(iter(self._parts)))
                self.given_up += 1
            return None
        del self._parts[key]
        joined = b"".join(parts[position] for position in range(1, total + 1))
        self._count(_digest(sender, recipient, joined, coding))
        return joined

    def document(self, now: float) -> dict[str, Any]:
        """Return what `GET /stats` answers: the sums, and the same by account."""
        by_account = {
            name: _account_document(stats, self._counters, now) for name, stats in sorted(self.accounts.items())
        }
        sums: Counter[str] = Counter()
        for account in self.accounts.values():
            sums.update(account.counts)
        return {
            **{name: sums[name] for name in self._counters},
            "distinct": len(self._seen),
            "duplicates": self.duplicates,
            "unjoined": len(self._parts),
            "given_up": self.given_up,
            "max_submits_in_1s": max((account.submit_rate.greatest for account in self.accounts.values()), default=0),
            "sessions": sum(account.sessions for account in self.accounts.values()),
            "sessions_max": max((account.sessions_max for account in self.accounts.values()), default=0),
            "accounts": by_account,
        }

    def _count(self, digest: bytes) -> bool:
        times = self._seen.get(digest, 0)
        self._seen[digest] = times + 1
        if times:
            self.duplicates += 1
        return not times


def _account_document(stats: AccountStats, counters: tuple[str, ...], now: float) -> dict[str, Any]:
    return {
        **{name: stats.counts[name] for name in counters},
        "max_submits_in_1s": stats.submit_rate.greatest,
        "submits_in_last_1s": stats.submit_rate.within_last_second(now),
        "sessions": stats.sessions,
        "sessions_max": stats.sessions_max,
    }


def _digest(sender: str, recipient: str, content: bytes, coding: int) -> bytes:
    # 16 octets: a collision among 10 million messages has a chance of 1e-25, so none is called a duplicate wrongly.
    return xxhash.xxh3_128_digest(b"%b\0%b\0%d\0%b" % (sender.encode(), recipient.encode(), coding, content))
