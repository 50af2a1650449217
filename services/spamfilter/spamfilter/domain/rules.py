"""Keyword rules and rule sets: their form, their limits, and the version that every verdict carries.

A rule fires when every group of `all` has at least one of its terms in the text and no term of `none` is there.  A
term is text, found in whatever disguise the views undo, or a feature such as `@link`.  A rule set is immutable; its
version is its number and the digest of its content.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from spamfilter.domain import features

MAX_RULES = 20_000
"""One set; the study's matcher was measured with 10,000 words."""


class Level(StrEnum):
    """What a rule asks for: refuse, let a person decide, or add to the content's score."""

    BLOCK = "block"
    HOLD = "hold"
    SCORE = "score"


class Category(StrEnum):
    """Why a rule exists (spec/spam.md, "keyword")."""

    SECURITY = "security"
    PORNOGRAPHY = "pornography"
    GAMBLING = "gambling"
    FRAUD = "fraud"
    INVOICE = "invoice"
    LOAN = "loan"
    DRUGS = "drugs"
    SUPERSTITION = "superstition"
    VIOLENCE = "violence"
    SMUGGLING = "smuggling"
    ADVERTISING = "advertising"
    OTHER = "other"


Term = Annotated[str, Meta(min_length=1, max_length=40)]
Group = Annotated[list[Term], Meta(min_length=1, max_length=200)]
Port = Annotated[str, Meta(pattern=r"^[0-9]{3,21}\*?$")]


class Rule(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One rule; ``all`` is its condition in conjunctive form."""

    id: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{1,47}$")]
    category: Category
    level: Level
    all: Annotated[list[Group], Meta(min_length=1, max_length=8)]
    none: Annotated[list[Term], Meta(max_length=200)] = []
    weight: Annotated[float, Meta(ge=0, le=10)] = 1.0
    """What a `score` rule adds to the content score, in logits."""
    pinyin: bool = True
    """Whether terms of three syllables or more are also found by their sound."""
    exempt_ports: Annotated[list[Port], Meta(max_length=1000)] = []
    """Ports the rule leaves alone; `1069*` is every port that begins so."""
    valid_from: Annotated[int, Meta(ge=0)] = 0
    """Unix ms."""
    valid_until: Annotated[int, Meta(ge=0)] = 0
    """Unix ms, exclusive; 0 is without end."""
    note: Annotated[str, Meta(max_length=400)] = ""

    def applies(self, port: str, at_ms: int) -> bool:
        """Return whether the rule is in force at ``at_ms`` for ``port``."""
        if at_ms < self.valid_from or (self.valid_until and at_ms >= self.valid_until):
            return False
        return not any(port == p or (p[-1] == "*" and port.startswith(p[:-1])) for p in self.exempt_ports)


class RuleError(ValueError):
    """A rule set cannot be used; ``code`` is stable, the text names the rule."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class RuleSet(msgspec.Struct, frozen=True):
    """Rules under a number; two sets with the same rules have the same digest."""

    number: int
    rules: tuple[Rule, ...]
    digest: str

    @property
    def version(self) -> str:
        """What verdicts and logs call this set: `<number>-<12 hex digits>`."""
        return f"{self.number}-{self.digest[:12]}"


_decoder = msgspec.json.Decoder(list[Rule])
_encoder = msgspec.json.Encoder(order="deterministic")


def encode_rules(rules: tuple[Rule, ...] | list[Rule]) -> bytes:
    """Return the rules in the one form that is stored and digested: by id, fields in a fixed order."""
    return _encoder.encode(sorted(rules, key=lambda rule: rule.id))


def decode_rules(octets: bytes) -> list[Rule]:
    """Return the rules of a JSON list; raises `RuleError` with code `rule_invalid` naming field and reason."""
    try:
        return _decoder.decode(octets)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RuleError("rule_invalid", str(error)) from error


def rule_set(number: int, rules: tuple[Rule, ...] | list[Rule]) -> RuleSet:
    """Return the rules as a set; raises `RuleError` when ids repeat, a feature is unknown or a bound is passed."""
    if len(rules) > MAX_RULES:
        raise RuleError("too_many_rules", f"{len(rules)} rules, at most {MAX_RULES}")
    seen: set[str] = set()
    for rule in rules:
        if rule.id in seen:
            raise RuleError("rule_duplicate", f"rule {rule.id} is there twice")
        seen.add(rule.id)
        for term in [*rule.none, *(term for group in rule.all for term in group)]:
            if term.startswith("@") and term not in features.SEEN:
                raise RuleError("feature_unknown", f"rule {rule.id}: {term} is no feature")
        if rule.valid_until and rule.valid_until <= rule.valid_from:
            raise RuleError("rule_never_valid", f"rule {rule.id}: valid_until is not after valid_from")
    octets = encode_rules(rules)
    return RuleSet(
        number=number, rules=tuple(sorted(rules, key=lambda rule: rule.id)), digest=hashlib.sha256(octets).hexdigest()
    )
