"""Rates of screening on one core: single texts, batches of individual texts, a template with variables, whole chunks.

``python bench/screening.py [seconds a case]``.  Pure computation: no broker, no database.  By CPU time of this
process, so that other work on the machine does not show; medians of several rounds.
"""

from __future__ import annotations

import random
import statistics
import sys
import time

from contracts.chunk import Chunk, Entry
from contracts.lanes import Lane
from spamfilter.domain import template
from spamfilter.domain.caps import CodeCaps, Limits
from spamfilter.domain.chunks import Policy, State, screen_chunk
from spamfilter.domain.codes import CodeTemplates
from spamfilter.domain.matcher import Matcher
from spamfilter.domain.rules import Category, Level, Rule, rule_set
from spamfilter.domain.sender import SenderWindows
from spamfilter.handlers.policy import shipped_rules

ROUNDS = 5
BATCH = 500
PIECES = [
    "【国家电网】尊敬的", "，您的户号", "于2026年11月产生电费", "元，请于11月30日前缴纳，逾期将产生违约金。如已缴费请忽略本条。详询95598。",
]  # fmt: skip
SURNAMES, NAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨", "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚"


def rows(rng: random.Random, count: int) -> list[list[str]]:
    return [
        [
            rng.choice(SURNAMES) + rng.choice(NAMES) + rng.choice(NAMES),
            f"{rng.randrange(10**10):010d}",
            f"{rng.randrange(30000) / 100:.2f}",
        ]
        for _ in range(count)
    ]


def entry(**fields) -> Entry:
    return Entry(task_id="t", port="106900001", expires_at=1, task_total=BATCH, **fields)


def chunk(entries: list[Entry]) -> Chunk:
    return Chunk(
        chunk_id="0" * 32, tenant="demo", enterprise="e1", lane=Lane.NOTICE, accepted_at=1,
        recipients=list(range(8613800000000, 8613800000000 + BATCH)), carriers="M" * BATCH, entries=entries,
    )  # fmt: skip


def rate(work, messages: int, seconds: float) -> float:
    """Return messages per second: the median of the rounds."""
    found = []
    for _ in range(ROUNDS):
        done, begun = 0, time.process_time()
        while time.process_time() - begun < seconds / ROUNDS:
            work()
            done += messages
        found.append(done / (time.process_time() - begun))
    return statistics.median(found)


def many_rules(rng: random.Random, count: int) -> list[Rule]:
    """Return rules of random words, for what a large set costs."""
    alphabet = [chr(c) for c in range(0x4E00, 0x4E00 + 3000)]
    return [
        Rule(id=f"word-{i}", category=Category.OTHER, level=Level.HOLD, all=[["".join(rng.choices(alphabet, k=4))]])
        for i in range(count)
    ]


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    rng = random.Random(1)
    print(f"{'rules':>7} {'case':<34} {'messages/s':>12} {'us/message':>11}")
    for rules in (shipped_rules(), [*shipped_rules(), *many_rules(rng, 10_000)]):
        matcher = Matcher(rule_set(1, rules))
        policy = Policy(matcher, CodeTemplates([]))
        state = State(SenderWindows(300_000), CodeCaps(Limits()))
        variables = rows(rng, BATCH)
        texts = [template._render(PIECES, [0, 1, 2], row) for row in variables]
        ports = ["106900001"] * BATCH
        single = iter(lambda: rng.choice(texts), None)
        individual = chunk([entry(first=i, count=1, pieces=[text]) for i, text in enumerate(texts)])
        templated = chunk([entry(first=0, count=BATCH, pieces=PIECES, slots=[0, 1, 2], variables=variables)])
        same = chunk([entry(first=0, count=BATCH, pieces=[texts[0]])])
        cases = {
            "one text at a time": (lambda: matcher.screen([next(single)], ports[:1], 0), 1),
            "individual texts, batches of 500": (lambda: matcher.screen(texts, ports, 0), BATCH),
            "chunk of 500 individual texts": (lambda: screen_chunk(individual, policy, state, 1), BATCH),
            "chunk of a template, 3 variables": (lambda: screen_chunk(templated, policy, state, 1), BATCH),
            "chunk of one content": (lambda: screen_chunk(same, policy, state, 1), BATCH),
        }
        for name, (work, messages) in cases.items():
            figure = rate(work, messages, seconds)
            print(f"{len(rules):>7} {name:<34} {figure:>12,.0f} {1e6 / figure:>11.2f}")


if __name__ == "__main__":
    main()
