"""The gate: how each message of a screened chunk goes on - at once, to a person, or not at all.

Pure.  The handler looks up what a decision needs (policies, earlier decisions of the same task, counts of the same
content) and
this module decides.  A task is decided once: all its chunks go the same way (architecture.md, "The no-loss chain
elsewhere");
what screening marks `hold` waits for a person whatever its tier, and what it blocked ends here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from contracts.chunk import Chunk, Entry
from contracts.events.review import Decision
from contracts.events.spamfilter import ChunkScreened, Verdict
from contracts.lanes import Lane
from review.domain.hours import Hours, minute_of_day
from review.domain.policy import MAX_THRESHOLD, Policies, PortPolicy, Tier, Window


class WayKind(StrEnum):
    """Where messages go."""

    DIRECT = "direct"
    HELD = "held"
    REFUSED = "refused"


class Way(NamedTuple):
    """``reason`` is a stable code; ``decision`` what a refusal is called."""

    kind: WayKind
    reason: str
    decision: Decision = Decision.RELEASED


DIRECT = Way(WayKind.DIRECT, "direct")
SUSPENDED = Way(WayKind.REFUSED, "port_suspended", Decision.PORT_SUSPENDED)
BULK = Way(WayKind.HELD, "bulk_threshold", Decision.HELD)
SPLIT = Way(WayKind.HELD, "split_send", Decision.HELD)
OUTSIDE_WINDOW = Way(WayKind.REFUSED, Decision.OUTSIDE_SENDING_WINDOW.value, Decision.OUTSIDE_SENDING_WINDOW)

WAYS: dict[str, Way] = {way.reason: way for way in (DIRECT, SUSPENDED, BULK, SPLIT, OUTSIDE_WINDOW)}
"""By the code a row keeps."""


class Count(NamedTuple):
    """One content to be counted: ``messages`` of cluster ``cluster`` at ``minute`` (Unix minutes of acceptance)."""

    tenant: str
    enterprise: str
    cluster: int
    minute: int
    messages: int


class Sums:
    """Messages of each content per minute, from the store plus what this batch adds."""

    def __init__(self, window_minutes: int, known: dict[tuple[str, str, int], dict[int, int]]) -> None:
        """``known`` maps (tenant, enterprise, cluster) to counts by minute, within the window."""
        self._window = window_minutes
        self._known = known

    def add(self, count: Count) -> int:
        """Count the messages and return the sum over the window that ends with their minute, they included."""
        minutes = self._known.setdefault((count.tenant, count.enterprise, count.cluster), {})
        minutes[count.minute] = minutes.get(count.minute, 0) + count.messages
        return sum(n for minute, n in minutes.items() if count.minute - self._window < minute <= count.minute)


@dataclass(slots=True)
class HeldPart:
    """Messages of one task in one chunk that wait for a person."""

    entry: int
    """Position in `chunk.entries`."""
    task_id: str
    reason: str
    indices: list[int]


@dataclass(slots=True)
class RefusedPart:
    """Messages of one task in one chunk that policy refuses outright."""

    task_id: str
    way: Way
    indices: list[int]


@dataclass(slots=True)
class Outcome:
    """What becomes of a screened chunk.  ``released`` None is all of the chunk, [] nothing."""

    released: list[int] | None
    held: list[HeldPart] = field(default_factory=list)
    refused: list[RefusedPart] = field(default_factory=list)


def spans_events(screened: ChunkScreened, entry: Entry) -> bool:
    """Return whether the task may be seen again in another event, so that its way has to be remembered."""
    return entry.task_chunks > 1 or screened.part > 0 or screened.indices is not None


def in_window(
    entry: Entry, lane: Lane, policy: PortPolicy, threshold: int, now_ms: int, default_window: Window
) -> bool:
    """Return whether a task that nobody holds may be sent at its time: when it is scheduled for, else now.

    A port's sending window is for tasks, whatever its tier (review.md, "Hours"): marketing of any size, and what exceeds the bulk
    threshold.  Codes, and notices up to the threshold, "pass directly" ("What is held"): a bank's alert goes at three in the morning.
    """
    if lane is Lane.VERIFICATION or (lane is not Lane.MARKETING and entry.task_total <= threshold):
        return True
    return (policy.window or default_window).holds(minute_of_day(max(now_ms, entry.not_before)))


def plainly_direct(
    screened: ChunkScreened, lane: Lane, policies: Policies, now_ms: int, default_window: Window
) -> bool:
    """Return whether nothing in the chunk can be a ground to hold or refuse: the bulk of all traffic, decided without
    a look at its messages.
    """
    chunk = screened.chunk
    if any(judgement.verdict is not Verdict.PASS for judgement in screened.judgements):
        return False
    if screened.part > 0 or screened.indices is not None:
        return False
    threshold, minute, opened = MAX_THRESHOLD, minute_of_day(now_ms), True
    codes = set(screened.code_entries)
    counted = {entry.port for position, entry in enumerate(chunk.entries) if position not in codes}
    for number in {entry.port for entry in chunk.entries}:
        policy = policies.of(chunk.tenant, number)
        if policy.suspended or (number in counted and policies.counts(chunk.tenant, chunk.enterprise, policy)):
            return False
        threshold = min(threshold, policies.threshold_of(chunk.tenant, policy))
        opened = opened and (policy.window or default_window).holds(minute)
    largest = latest = 0
    for entry in chunk.entries:
        if entry.task_chunks > 1:
            return False
        # Comparing is cheaper than `max`: this runs once for every single message.
        if entry.task_total > largest:  # noqa: PLR1730
            largest = entry.task_total
        if entry.not_before > latest:  # noqa: PLR1730
            latest = entry.not_before
    if lane is Lane.VERIFICATION or (lane is not Lane.MARKETING and largest <= threshold):
        return True
    # Else one by one, by `way_of_task`.
    return opened and latest <= now_ms


def way_of_task(
    entry: Entry, policy: PortPolicy, threshold: int, sum_of_content: int | None, *, timely: bool = True
) -> Way:
    """Return the way of a task seen for the first time.

    ``timely`` is what `in_window` says; who is held waits, and is judged by the window when it is decided.
    ``sum_of_content`` counts the same content over the window with this task included; None where contents do not add up (codes of
    an approved template).  Exactly ``threshold`` messages pass, one more is held.
    """
    if policy.suspended:
        return SUSPENDED
    if policy.tier is Tier.HIGH:
        if entry.task_total > threshold:
            return BULK
        if sum_of_content is not None and sum_of_content > threshold:
            return SPLIT
    return DIRECT if timely else OUTSIDE_WINDOW


def divide(screened: ChunkScreened, ways: list[Way]) -> Outcome:
    """Divide the chunk's messages: ``ways`` has one way for each entry.  Blocked messages are in no part."""
    chunk = screened.chunk
    marked = _marks(screened)
    mine = None if screened.indices is None else set(screened.indices)
    if mine is None and not marked and all(way is DIRECT for way in ways):
        return Outcome(None)
    outcome = Outcome([])
    released: list[int] = []
    for position, (entry, way) in enumerate(zip(chunk.entries, ways, strict=True)):
        passing: list[int] = []
        suspected: dict[str, list[int]] = {}
        for index in range(entry.first, entry.first + entry.count):
            if mine is not None and index not in mine:
                continue
            mark = marked.get(index)
            if mark is None:
                passing.append(index)
            elif mark[0] is Verdict.HOLD:
                suspected.setdefault(mark[1], []).append(index)
        _send(outcome, released, position, entry, way, passing)
        for reason, indices in suspected.items():
            hold = way if way.kind is WayKind.REFUSED else Way(WayKind.HELD, reason, Decision.HELD)
            _send(outcome, released, position, entry, hold, indices)
    outcome.released = None if mine is None and len(released) == len(chunk.recipients) else released
    return outcome


def told(outcome: Outcome) -> list[tuple[Decision, str, str, list[int]]]:
    """Return what is said of the messages that do not go at once: (decision, reason, task, indices).

    Messages of many tasks with one reason are told together, without a task: 500 single requests are one event, not
    500.
    """
    parts = [(Decision.HELD, part.reason, part.task_id, part.indices) for part in outcome.held]
    parts += [(part.way.decision, part.way.reason, part.task_id, part.indices) for part in outcome.refused]
    return merge(parts)


def merge(parts: list[tuple[Decision, str, str, list[int]]]) -> list[tuple[Decision, str, str, list[int]]]:
    """Join parts of the same decision and reason; the task stays only where it is one."""
    joined: dict[tuple[Decision, str], tuple[set[str], list[int]]] = {}
    for decision, reason, task, indices in parts:
        tasks, together = joined.setdefault((decision, reason), (set(), []))
        tasks.add(task)
        together.extend(indices)
    return [
        (decision, reason, next(iter(tasks)) if len(tasks) == 1 else "", sorted(together))
        for (decision, reason), (tasks, together) in joined.items()
    ]


def _send(outcome: Outcome, released: list[int], position: int, entry: Entry, way: Way, indices: list[int]) -> None:
    if not indices:
        return
    if way.kind is WayKind.DIRECT:
        released.extend(indices)
    elif way.kind is WayKind.HELD:
        outcome.held.append(HeldPart(position, entry.task_id, way.reason, indices))
    else:
        outcome.refused.append(RefusedPart(entry.task_id, way, indices))


def _marks(screened: ChunkScreened) -> dict[int, tuple[Verdict, str]]:
    return {
        index: (judgement.verdict, judgement.reason)
        for judgement in screened.judgements
        if judgement.verdict is not Verdict.PASS
        for index in range(judgement.first, judgement.first + judgement.count)
    }


def state_when_held(
    entry: Entry, policy: PortPolicy, now_ms: int, hours: Hours, default_window: Window, *, refuse_outside_hours: bool
) -> Decision:
    """Return where a held task starts: HELD in the queue, or refused by the clock.

    The port's sending window is judged by the time the caller asked for; a task without one goes when it is decided,
    and is
    judged then.  Ports declared for the fast lane are exempt from the review hours.
    """
    if entry.not_before > now_ms and not (policy.window or default_window).holds(minute_of_day(entry.not_before)):
        return Decision.OUTSIDE_SENDING_WINDOW
    if refuse_outside_hours and not policy.fast_lane and not hours.open_at(now_ms):
        return Decision.OUTSIDE_REVIEW_HOURS
    return Decision.HELD


def carriers_of(chunk: Chunk, indices: list[int]) -> dict[str, int]:
    """Return how many of the messages go to each carrier letter (`contracts.chunk.CARRIERS`)."""
    split: dict[str, int] = {}
    for index in indices:
        letter = chunk.carriers[index]
        split[letter] = split.get(letter, 0) + 1
    return split
