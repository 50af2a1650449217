"""What is held by rule: the port's tier, its bulk threshold, its sending window (review.md, "Ports", "What is held").

A `Policies` is an immutable snapshot with a version; the store makes a new one when an administrator changed
something, so a
decision can always name the policy it was made under.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

DEFAULT_THRESHOLD = 50
"""Messages of the same content at once that pass (review.md: 50 by default)."""

MAX_THRESHOLD = 1_000_000
"""Highest threshold that can be set: more messages a task cannot have."""

MINUTES_OF_DAY = 24 * 60


class Tier(StrEnum):
    """Risk tier of a port; only high-risk ports are held by number (review.md, "Ports, tiers, entry and exit")."""

    HIGH = "high"
    GENERAL = "general"
    TRUSTED = "trusted"


@dataclass(frozen=True, slots=True)
class Window:
    """A daily span in minutes of the local day, start included, end excluded; 0..1440 is the whole day."""

    start: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Window:
        """Return the window written ``08:00-21:00``; raises ValueError when it is none or ends before it starts."""
        first, dash, last = text.partition("-")
        if not dash:
            raise ValueError(f"a window is written HH:MM-HH:MM: {text!r}")
        window = cls(_minutes(first), _minutes(last))
        if window.start >= window.end:
            raise ValueError(f"a window ends after it starts: {text!r}")
        return window

    def __str__(self) -> str:
        return f"{self.start // 60:02d}:{self.start % 60:02d}-{self.end // 60:02d}:{self.end % 60:02d}"

    def holds(self, minute_of_day: int) -> bool:
        """Return whether the minute lies in the window."""
        return self.start <= minute_of_day < self.end


def _minutes(text: str) -> int:
    hour, colon, minute = text.strip().partition(":")
    if not (colon and hour.isascii() and hour.isdigit() and minute.isascii() and minute.isdigit() and len(minute) == 2):
        raise ValueError(f"a time is written HH:MM: {text!r}")
    value = int(hour) * 60 + int(minute)
    if int(minute) > 59 or value > MINUTES_OF_DAY:
        raise ValueError(f"not a time of day: {text!r}")
    return value


@dataclass(frozen=True, slots=True)
class PortPolicy:
    """What applies to one port."""

    port: str
    tier: Tier
    threshold: int | None = None
    """None: the tenant's."""
    window: Window | None = None
    """None: the installation's default sending window."""
    fast_lane: bool = False
    """Declared time-critical: jumps the queue and is exempt from the review hours."""
    suspended: bool = False
    enterprise: str = ""


@dataclass(frozen=True)
class Policies:
    """All policies at one moment."""

    version: int
    default_tier: Tier = Tier.HIGH
    default_threshold: int = DEFAULT_THRESHOLD
    ports: dict[tuple[str, str], PortPolicy] = field(default_factory=dict)
    """(tenant, port) to policy."""
    thresholds: dict[str, int] = field(default_factory=dict)
    """Tenant to its own threshold."""
    _found: dict[tuple[str, str], PortPolicy] = field(default_factory=dict, repr=False, compare=False)
    _high: set[tuple[str, str]] = field(default_factory=set, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._high.update(
            (tenant, policy.enterprise)
            for (tenant, _), policy in self.ports.items()
            if policy.tier is Tier.HIGH and policy.enterprise
        )

    def of(self, tenant: str, number: str) -> PortPolicy:
        """Return the policy of the port that ``number`` (a port with its extension digits) belongs to.

        The longest registered prefix wins; a port nobody described is of the default tier (a newly connected
        enterprise is
        high-risk until somebody says otherwise).
        """
        key = (tenant, number)
        found = self._found.get(key)
        if found is None:
            if len(self._found) > 100_000:
                self._found.clear()
            found = self._found[key] = self._search(tenant, number)
        return found

    def threshold_of(self, tenant: str, policy: PortPolicy) -> int:
        """Return the messages of one content that pass at once."""
        if policy.threshold is not None:
            return policy.threshold
        return self.thresholds.get(tenant, self.default_threshold)

    def counts(self, tenant: str, enterprise: str, policy: PortPolicy) -> bool:
        """Return whether this port's traffic adds up: the enterprise has a high-risk port, so a split may run over
        any of its ports.
        """
        return policy.tier is Tier.HIGH or (tenant, enterprise) in self._high

    def _search(self, tenant: str, number: str) -> PortPolicy:
        for length in range(len(number), 2, -1):
            policy = self.ports.get((tenant, number[:length]))
            if policy is not None:
                return policy
        return PortPolicy(port=number, tier=self.default_tier)
