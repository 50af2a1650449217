"""The policy in force in this process, and how a change of rules reaches it: polled, compiled aside, swapped whole."""

from __future__ import annotations

import asyncio
from importlib import resources

import structlog

from servicekit.database import DatabaseUnavailable
from spamfilter import metrics
from spamfilter.domain.chunks import Policy
from spamfilter.domain.codes import CodeTemplates
from spamfilter.domain.matcher import Matcher
from spamfilter.domain.rules import Rule, decode_rules
from spamfilter.store.rulesets import Rulesets

log = structlog.get_logger()


def shipped_rules() -> list[Rule]:
    """Return the rules that come with the product."""
    return decode_rules(resources.files("spamfilter").joinpath("data/rules.json").read_bytes())


class PolicyHolder:
    """Holds one immutable `Policy`; whoever screens takes the reference once per batch."""

    def __init__(self, rulesets: Rulesets, *, threshold: int, poll_s: float) -> None:
        """Poll ``rulesets`` every ``poll_s`` seconds; ``threshold`` is the sender threshold."""
        self._rulesets = rulesets
        self._threshold = threshold
        self._poll_s = poll_s
        self._seen = 0
        self._policy: Policy | None = None
        self._reloading = asyncio.Lock()
        self._stopped = asyncio.Event()

    @property
    def current(self) -> Policy:
        """The policy in force."""
        if self._policy is None:
            raise RuntimeError("no rule set was loaded yet")
        return self._policy

    async def load(self) -> None:
        """Seed an empty schema and load what is in force; to be awaited before anything is screened."""
        if await self._rulesets.seed(shipped_rules()):
            log.info("rules_seeded")
        await self.refresh()

    async def refresh(self) -> None:
        """Take over the newest policy if it is not the one in force."""
        async with self._reloading:
            # The version is read before the content: a change in between is seen again at the next look.
            version = await self._rulesets.version()
            if version == self._seen:
                return
            active = await self._rulesets.active()
            if active is None:
                raise RuntimeError("policy_change has rows but none names a rule set")
            templates = [(t.tenant, t.port, t.pattern) for t in await self._rulesets.templates()]
            matcher = self._policy.matcher if self._policy else None
            before = matcher.version if matcher else ""
            if matcher is None or before != active.version:
                # Compiling thousands of rules takes longer than a code may wait.
                matcher = await asyncio.to_thread(Matcher, active)
            self._policy = Policy(matcher, CodeTemplates(templates), self._threshold)
            self._seen = version
            metrics.RULESET.set(active.number)
            log.info("policy_loaded", ruleset=active.version, before=before, templates=len(templates))

    async def run(self) -> None:
        """Follow changes until stopped; an unreachable database leaves the policy in force."""
        while not self._stopped.is_set():
            try:
                async with asyncio.timeout(self._poll_s):
                    await self._stopped.wait()
            except TimeoutError:
                pass
            else:
                return
            try:
                await self.refresh()
            except DatabaseUnavailable as error:
                log.warning("policy_not_refreshed", reason=str(error))

    async def stop(self) -> None:
        """End `run`."""
        self._stopped.set()
