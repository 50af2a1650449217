"""A chunk through the whole of screening: class, keywords, sender window, caps; what goes on, in which lane, with
which judgements.

Boundary: state (windows, caps) and settings are arguments, and the counts that must reach the log before anything else
is published are returned, not sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from contracts.chunk import Chunk, Entry, render
from contracts.envelope import partition_key
from contracts.events.spamfilter import ChunkJudged, ChunkScreened, Finding, Judgement, SenderCounted, Verdict
from contracts.lanes import Lane
from spamfilter.domain import codes, template
from spamfilter.domain.caps import CodeCaps
from spamfilter.domain.codes import CodeTemplates
from spamfilter.domain.matcher import CLEAN, Matcher, Screening
from spamfilter.domain.sender import SenderWindows

CODE_SENDER = "code:"
"""Prefix of the senders under which codes stand in the counted log: `code:<port>:<number>`."""

FULL_FINDINGS = 50
"""Judgements of one chunk that carry all their findings; the rest carry the strongest, so the event stays far below 1
MB.
"""

_STRENGTH = {Verdict.PASS: 0, Verdict.HOLD: 1, Verdict.BLOCK: 2}


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that decides but the state: one immutable value, swapped whole on reload."""

    matcher: Matcher
    templates: CodeTemplates
    threshold: int = 30
    """Messages of one sender within the window; the next is blocked."""


@dataclass(slots=True)
class State:
    """Windows and caps of one partition."""

    windows: SenderWindows
    caps: CodeCaps


@dataclass(slots=True)
class Outcome:
    """What one chunk becomes; ``counted`` must be acknowledged before the rest is produced."""

    screened: list[tuple[Lane, ChunkScreened]]
    judged: ChunkJudged
    counted: list[SenderCounted] = field(default_factory=list)


def screen_chunk(chunk: Chunk, policy: Policy, state: State, screened_at: int) -> Outcome:
    """Return the chunk's outcome; the same chunk again, after the same log, has the same."""
    results = _contents(chunk, policy)
    demoted, code_entries = _classes(chunk, policy) if chunk.lane is Lane.VERIFICATION else ([], [])
    counted = _senders(chunk, policy, state, results, frozenset(code_entries))
    if chunk.lane is Lane.VERIFICATION:
        counted += _caps(chunk, state, results, frozenset(demoted))
    judgements = _judgements(results)
    judged = ChunkJudged(
        chunk_id=chunk.chunk_id,
        ruleset=policy.matcher.version,
        screened_at=screened_at,
        judgements=judgements,
        demoted=demoted,
        demoted_to=Lane.NOTICE if demoted else None,
    )
    parts = _parts(chunk, results, demoted)
    screened = [
        (
            lane,
            ChunkScreened(
                chunk=chunk if lane is chunk.lane else msgspec.structs.replace(chunk, lane=lane),
                ruleset=policy.matcher.version,
                screened_at=screened_at,
                judgements=judgements,
                indices=indices,
                part=part,
                code_entries=code_entries,
            ),
        )
        for part, lane, indices in parts
    ]
    return Outcome(screened, judged, counted)


def _contents(chunk: Chunk, policy: Policy) -> list[Screening]:
    """Return one screening a message; equal neighbours are the same object."""
    results: list[Screening] = [CLEAN] * len(chunk.recipients)
    plain = [entry for entry in chunk.entries if not entry.slots]
    if plain:
        texts = [entry.pieces[0] for entry in plain]
        found = policy.matcher.screen(texts, [entry.port for entry in plain], chunk.accepted_at)
        for entry, screening in zip(plain, found, strict=True):
            if screening is not CLEAN:
                results[entry.first : entry.first + entry.count] = [screening] * entry.count
    for entry in chunk.entries:
        if entry.slots:
            seams = template.cut_cached(policy.matcher, tuple(entry.pieces))
            results[entry.first : entry.first + entry.count] = template.screen_rows(
                policy.matcher, seams, entry.pieces, entry.slots, entry.variables, entry.port, chunk.accepted_at
            )
    return results


def _classes(chunk: Chunk, policy: Policy) -> tuple[list[int], list[int]]:
    """Return (messages that are no codes, positions of the entries that match an approved template of their port)."""
    demoted: list[int] = []
    positions: list[int] = []
    for position, entry in enumerate(chunk.entries):
        patterns = policy.templates.of(chunk.tenant, entry.port)
        if not entry.slots:
            if codes.approved(entry.pieces[0], patterns):
                positions.append(position)
            elif not codes.has_code_shape(entry.pieces[0]):
                demoted.extend(range(entry.first, entry.first + entry.count))
            continue
        rows = [render(entry, row) for row in range(entry.count)]
        matching = [codes.approved(text, patterns) for text in rows]
        if all(matching):
            positions.append(position)
        demoted.extend(
            entry.first + row for row, text in enumerate(rows) if not matching[row] and not codes.has_code_shape(text)
        )
    return demoted, positions


def _senders(
    chunk: Chunk, policy: Policy, state: State, results: list[Screening], code_entries: frozenset[int]
) -> list[SenderCounted]:
    """Count the runs of senders that are not registered, and block what is above the threshold, by index."""
    counted = []
    enterprise = partition_key(chunk.tenant, chunk.enterprise)
    for position, entry in enumerate(chunk.entries):
        if entry.registered or position in code_entries:
            continue
        admitted = state.windows.admit(
            enterprise, entry.port, chunk.chunk_id, entry.first, entry.count, chunk.accepted_at, policy.threshold
        )
        if admitted.new:
            counted.append(
                SenderCounted(
                    chunk_id=chunk.chunk_id,
                    sender=entry.port,
                    at=chunk.accepted_at,
                    count=entry.count,
                    first=entry.first,
                )
            )
        _cut_off(entry, admitted.prior, policy.threshold, results)
    return counted


def _cut_off(entry: Entry, prior: int, threshold: int, results: list[Screening]) -> None:
    free = max(0, threshold - prior)
    if free >= entry.count:
        return
    finding = Finding(
        rule="sender-threshold", category="sender", level="block", figure=float(min(prior, threshold) + entry.count)
    )
    blocked = _Blocker("sender_threshold", finding)
    for index in range(entry.first + free, entry.first + entry.count):
        results[index] = blocked(results[index])


def _caps(chunk: Chunk, state: State, results: list[Screening], demoted: frozenset[int]) -> list[SenderCounted]:
    """Count codes that go through and block those above a cap."""
    counted = []
    enterprise = partition_key(chunk.tenant, chunk.enterprise)
    for entry in chunk.entries:
        for index in range(entry.first, entry.first + entry.count):
            if index in demoted or results[index].verdict is Verdict.BLOCK:
                continue
            sender = f"{CODE_SENDER}{entry.port}:{chunk.recipients[index]}"
            capped, new = state.caps.admit(enterprise, sender, chunk.chunk_id, index, chunk.accepted_at)
            if capped is not None:
                finding = Finding(
                    rule=f"code-cap-{capped.limit}", category="code", level="block", figure=float(capped.figure)
                )
                results[index] = _Blocker("code_cap", finding)(results[index])
            elif new:
                counted.append(
                    SenderCounted(chunk_id=chunk.chunk_id, sender=sender, at=chunk.accepted_at, count=1, first=index)
                )
    return counted


class _Blocker:
    """Blocks screenings for one reason; equal inputs give the same object, so that runs are found by identity."""

    def __init__(self, reason: str, finding: Finding) -> None:
        self._reason = reason
        self._finding = finding
        self._done: dict[int, Screening] = {}

    def __call__(self, old: Screening) -> Screening:
        if id(old) not in self._done:
            # The content's own block keeps its reason: it says more than a count does.
            reason = old.reason if old.verdict is Verdict.BLOCK else self._reason
            findings = (self._finding, *old.findings) if reason is self._reason else (*old.findings, self._finding)
            self._done[id(old)] = Screening(Verdict.BLOCK, reason, old.score, findings)
        return self._done[id(old)]


def _judgements(results: list[Screening]) -> list[Judgement]:
    """Return the runs of equal screenings that say anything."""
    out: list[Judgement] = []
    start = 0
    size = len(results)
    while start < size:
        screening = results[start]
        end = start + 1
        while end < size and (results[end] is screening or results[end] == screening):
            end += 1
        if screening.verdict is not Verdict.PASS or screening.findings:
            kept = screening.findings if len(out) < FULL_FINDINGS else screening.findings[:1]
            out.append(Judgement(start, end - start, screening.verdict, screening.reason, list(kept)))
        start = end
    return out


def _parts(chunk: Chunk, results: list[Screening], demoted: list[int]) -> list[tuple[int, Lane, list[int] | None]]:
    """Return (part, lane, messages) of what goes on: the chunk's own lane, and notice for what was demoted.

    A part of which every message is blocked goes nowhere.
    """
    if not demoted:
        cuts: list[tuple[int, Lane, list[int] | None]] = [(0, chunk.lane, None)]
    else:
        away = set(demoted)
        stay = [index for index in range(len(results)) if index not in away]
        cuts = [(0, chunk.lane, stay), (1, Lane.NOTICE, demoted)]
    return [cut for cut in cuts if _any_goes(results, cut[2])]


def _any_goes(results: list[Screening], indices: Iterable[int] | None) -> bool:
    chosen = results if indices is None else [results[index] for index in indices]
    return any(screening.verdict is not Verdict.BLOCK for screening in chosen)
