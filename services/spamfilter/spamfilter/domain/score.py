"""The content score: a documented linear sum of counted features, turned into 0..1 by the logistic function.

The weights are set by hand, not learned; docs/screening.md gives what they reach on development data.  Features alone
never reach the threshold (`MAX_FEATURE_LOGIT`), so a text without any score rule needs no score inline.  A score may
hold a message, never block it.
"""

from __future__ import annotations

import math

from spamfilter.domain import features

BIAS = -4.0
"""Logit of a text of which nothing is known."""

WEIGHTS: dict[str, float] = {
    "@link": 0.6,
    "@wechat": 1.6,
    "@qq": 1.4,
    "@group": 0.6,
    "@phone": 0.6,
}
"""Logit added when the feature is there."""

DISGUISE = 1.2
"""Added when a keyword stood in disguise (only its skeleton or sound matched).  Evidence only beside a finding, so
never alone.
"""

MAX_FEATURE_LOGIT = BIAS + sum(WEIGHTS.values())


def logistic(logit: float) -> float:
    """Return 1 / (1 + e^-logit), rounded to four digits, which is all the score can claim."""
    return round(1 / (1 + math.exp(-max(-30.0, min(30.0, logit)))), 4)


def score(base: str, rule_weights: float, *, disguised: bool) -> float:
    """Return the score of a text by its base view, the weights of the score rules that fired, and whether one was
    disguised.
    """
    logit = BIAS + rule_weights + sum(weight for name, weight in WEIGHTS.items() if features.find(name, base))
    return logistic(logit + (DISGUISE if disguised and rule_weights else 0.0))
