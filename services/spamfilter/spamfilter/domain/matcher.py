"""A rule set made ready to match: one Aho-Corasick automaton over the skeleton and pinyin views of many texts at once.

Inline, a text in which no rule's trigger occurs costs two translations and its share of one pass of the automaton.
Everything else (features, spans, score) is worked out only for texts with a trigger.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ahocorasick_rs import AhoCorasick, Implementation, MatchKind

from contracts.events.spamfilter import Finding, Verdict
from spamfilter.domain import features, fold, pinyin, views
from spamfilter.domain.rules import Level, Rule, RuleError, RuleSet
from spamfilter.domain.score import score

MIN_SOUND = 3
"""Syllables; two-syllable matching by sound hits a fifth of normal messages (design/content-filter.md)."""

MAX_FINDINGS = 16
"""Findings kept of one text; the strongest come first."""

SCORE_HOLD = 0.9
"""Content score from which a text is held; the `score` rules are weighted against this figure."""

_STRENGTH = {Level.BLOCK: 0, Level.HOLD: 1, Level.SCORE: 2}


@dataclass(frozen=True, slots=True)
class Screening:
    """What the rules say of one text."""

    verdict: Verdict
    reason: str = ""
    score: float = 0.0
    findings: tuple[Finding, ...] = ()


CLEAN = Screening(Verdict.PASS)
"""No rule fired."""


@dataclass(frozen=True, slots=True)
class Hit:
    """First place of a term in a view of one text; ``sound`` says in which."""

    sound: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Condition:
    rule: Rule
    trigger: frozenset[int]
    groups: tuple[tuple[frozenset[int], tuple[str, ...]], ...]
    """Terms and features of each group of `all`."""
    none: frozenset[int]
    none_features: tuple[str, ...]


class Matcher:
    """Screens texts by one rule set; immutable, so a reload swaps one reference."""

    def __init__(self, rules: RuleSet) -> None:
        """Compile; raises `RuleError` when a term is nothing once folded or a rule has no term to trigger it."""
        self.rules = rules
        self.version = rules.version
        self._terms: dict[tuple[str, bool], int] = {}
        self._patterns: dict[str, list[tuple[int, bool]]] = defaultdict(list)
        self._triggered: dict[int, list[_Condition]] = defaultdict(list)
        for rule in rules.rules:
            condition = self._compile(rule)
            for term in condition.trigger:
                self._triggered[term].append(condition)
        self.patterns = list(self._patterns)
        self._uses = [self._patterns[pattern] for pattern in self.patterns]
        self._latin = [pattern[0].isascii() or pattern[-1].isascii() for pattern in self.patterns]
        self.longest = max(map(len, self.patterns), default=0)
        self.heads = frozenset(p[:n] for p in self.patterns for n in range(1, len(p)))
        """Every proper beginning of a pattern, and in `tails` every proper end: what may run across a template's
        seam.
        """
        self.tails = frozenset(p[-n:] for p in self.patterns for n in range(1, len(p)))
        self._automaton = AhoCorasick(
            self.patterns, matchkind=MatchKind.Standard, implementation=Implementation.ContiguousNFA
        )

    def _compile(self, rule: Rule) -> _Condition:
        groups = tuple(self._group(rule, group) for group in rule.all)
        textual = [terms for terms, names in groups if terms and not names]
        if not textual:
            raise RuleError("rule_needs_term", f"rule {rule.id}: one group must be terms only, to trigger it")
        none, none_features = self._group(rule, rule.none)
        return _Condition(rule, min(textual, key=len), groups, none, none_features)

    def _group(self, rule: Rule, group: Sequence[str]) -> tuple[frozenset[int], tuple[str, ...]]:
        terms = frozenset(self._term(rule, term) for term in group if not term.startswith("@"))
        return terms, tuple(term for term in group if term.startswith("@"))

    def _term(self, rule: Rule, text: str) -> int:
        skeleton = views.skeleton_of(views.join([text]))
        if not skeleton:
            raise RuleError("term_empty", f"rule {rule.id}: nothing is left of {text!r} once symbols are removed")
        key = (skeleton, rule.pinyin)
        if key not in self._terms:
            number = self._terms[key] = len(self._terms)
            self._patterns[skeleton].append((number, False))
            sound = views.pinyin_of(skeleton)
            if rule.pinyin and len(sound) >= MIN_SOUND and all(ord(c) >= pinyin.FIRST_CODE for c in sound):
                self._patterns[sound].append((number, True))
        return self._terms[key]

    def hits(self, texts: Sequence[str]) -> list[dict[int, Hit] | None]:
        """Return, for each text, the terms in it with their first place, or None when there is none."""
        found: list[dict[int, Hit] | None] = [None] * len(texts)
        skeleton = views.skeleton_of(views.join(texts))
        sound = views.pinyin_of(skeleton)
        for is_sound, view in ((False, skeleton), (True, sound)):
            matches = self._automaton.find_matches_as_indexes(view, overlapping=True)
            if matches:
                self._place(view, matches, found, is_sound=is_sound)
        return found

    def _place(
        self, view: str, matches: list[tuple[int, int, int]], found: list[dict[int, Hit] | None], *, is_sound: bool
    ) -> None:
        begins = _begins(view)
        for pattern, start, end in matches:
            if self._latin[pattern] and not _whole_word(view, start, end):
                continue
            at = bisect_right(begins, start) - 1
            terms = found[at]
            if terms is None:
                terms = found[at] = {}
            for term, of_sound in self._uses[pattern]:
                if of_sound == is_sound and term not in terms:
                    terms[term] = Hit(is_sound, start - begins[at], end - begins[at])

    def triggers(self, terms: Iterable[int]) -> bool:
        """Return whether one of the terms triggers a rule."""
        return any(term in self._triggered for term in terms)

    def screen(self, texts: Sequence[str], ports: Sequence[str], at_ms: int) -> list[Screening]:
        """Return what the rules in force at ``at_ms`` (Unix ms) say of each text, sent from the port at its
        position.
        """
        return [
            CLEAN if terms is None else self._judge(text, terms, port, at_ms)
            for text, port, terms in zip(texts, ports, self.hits(texts), strict=True)
        ]

    def explain(self, text: str, port: str, at_ms: int) -> Screening:
        """Return the screening of one text with its score worked out in any case."""
        screening = self.screen([text], [port], at_ms)[0]
        if screening.score:
            return screening
        figure = score(views.base_of(fold.prepare(text)), 0.0, disguised=False)
        return Screening(screening.verdict, screening.reason, figure, screening.findings)

    def _judge(self, text: str, terms: dict[int, Hit], port: str, at_ms: int) -> Screening:
        candidates = {id(c): c for term in terms for c in self._triggered.get(term, ())}
        if not candidates:
            return CLEAN
        reading = _Reading(text)
        fired = [
            (c.rule, _first(c.trigger, terms))
            for c in candidates.values()
            if _holds(c, terms, reading) and c.rule.applies(port, at_ms)
        ]
        if not fired:
            return CLEAN
        fired.sort(key=lambda pair: (_STRENGTH[pair[0].level], pair[1].start, pair[0].id))
        weights = sum(rule.weight for rule, _ in fired if rule.level is Level.SCORE)
        findings = [reading.finding(rule, hit) for rule, hit in fired[:MAX_FINDINGS]]
        figure = score(reading.base, weights, disguised=any(hit.sound for _, hit in fired))
        return _verdict(fired[0][0].level, figure, findings)


class _Reading:
    """One text with triggers in it: its base view and its traces, made when first asked for."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._base: str | None = None
        self._skeleton: views.Traced | None = None
        self._sound: views.Traced | None = None
        self._seen: dict[str, bool] = {}

    @property
    def base(self) -> str:
        if self._base is None:
            self._base = views.base_of(fold.prepare(self._text))
        return self._base

    def has(self, feature: str) -> bool:
        """Return whether the feature is in the text."""
        if feature not in self._seen:
            self._seen[feature] = features.find(feature, self.base) is not None
        return self._seen[feature]

    def finding(self, rule: Rule, hit: Hit) -> Finding:
        """Return the finding with the place in the text as the sender wrote it."""
        if self._skeleton is None:
            self._skeleton = views.trace_skeleton(self._text)
        traced = self._skeleton
        if hit.sound:
            if self._sound is None:
                self._sound = views.trace_pinyin(self._skeleton)
            traced = self._sound
        start, end = traced.span(hit.start, hit.end)
        return Finding(
            rule=rule.id,
            category=rule.category.value,
            level=rule.level.value,
            span=(start, end),
            matched=self._text[start:end],
            figure=rule.weight if rule.level is Level.SCORE else None,
        )


def _holds(condition: _Condition, terms: dict[int, Hit], reading: _Reading) -> bool:
    # Terms first: they are known already, features cost a search.
    if any(term in terms for term in condition.none):
        return False
    late = []
    for group, names in condition.groups:
        if not any(term in terms for term in group):
            if not names:
                return False
            late.append(names)
    return all(any(reading.has(name) for name in names) for names in late) and not any(
        reading.has(name) for name in condition.none_features
    )


def _first(trigger: frozenset[int], terms: dict[int, Hit]) -> Hit:
    # The plain writing is quoted before the sound of it.
    return min((terms[term] for term in trigger if term in terms), key=lambda hit: (hit.sound, hit.start, -hit.end))


def _verdict(strongest: Level, figure: float, findings: list[Finding]) -> Screening:
    if strongest is Level.BLOCK:
        return Screening(Verdict.BLOCK, "keyword_block", figure, tuple(findings))
    if strongest is Level.HOLD:
        return Screening(Verdict.HOLD, "keyword_hold", figure, tuple(findings))
    if figure >= SCORE_HOLD:
        summed = Finding(rule="content-score", category="score", level="hold", figure=figure)
        return Screening(Verdict.HOLD, "content_score", figure, (summed, *findings[: MAX_FINDINGS - 1]))
    return Screening(Verdict.PASS, "", figure, tuple(findings))


def _begins(view: str) -> list[int]:
    begins = [0]
    at = view.find(fold.MARK)
    while at >= 0:
        begins.append(at + 1)
        at = view.find(fold.MARK, at + 1)
    return begins


def _whole_word(view: str, start: int, end: int) -> bool:
    """Return whether a match that begins or ends with a Latin letter or digit is not part of a longer word or
    number.
    """
    before = view[start - 1] if start else ""
    after = view[end] if end < len(view) else ""
    return not (_same_kind(before, view[start]) or _same_kind(view[end - 1], after))


def _same_kind(left: str, right: str) -> bool:
    if not (left.isascii() and right.isascii()):
        return False
    return (left.isalpha() and right.isalpha()) or (left.isdigit() and right.isdigit())
