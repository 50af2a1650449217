"""Making a new rule set out of another: changes are checked by compiling before they are stored."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from spamfilter.domain.matcher import Matcher
from spamfilter.domain.rules import Rule, RuleError, RuleSet, rule_set
from spamfilter.store.rulesets import Rulesets


async def draft(
    rulesets: Rulesets, base: RuleSet, changes: Sequence[Rule], remove: Sequence[str], by: str, note: str
) -> RuleSet:
    """Store ``base`` with changes put in and ``remove`` taken out, and return it; raises `RuleError` if it cannot be
    used.
    """
    rules = {rule.id: rule for rule in base.rules}
    for name in remove:
        if rules.pop(name, None) is None:
            raise RuleError("rule_unknown", f"there is no rule {name}")
    names = [rule.id for rule in changes]
    if len(set(names)) < len(names):
        raise RuleError("rule_duplicate", "a rule is there twice")
    rules.update((rule.id, rule) for rule in changes)
    result = list(rules.values())
    await asyncio.to_thread(Matcher, rule_set(0, result))
    return await rulesets.add(result, by, note)
