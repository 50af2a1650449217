from __future__ import annotations

import pytest

from spamfilter.domain.matcher import Matcher
from spamfilter.domain.rules import RuleSet, rule_set
from spamfilter.handlers.policy import shipped_rules


@pytest.fixture(scope="session")
def shipped() -> RuleSet:
    return rule_set(1, shipped_rules())


@pytest.fixture(scope="session")
def matcher(shipped: RuleSet) -> Matcher:
    return Matcher(shipped)
