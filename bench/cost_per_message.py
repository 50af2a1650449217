"""CPU a message for runs of 10,000, 100,000 and 1,000,000 messages on one stack: it is to be flat within 20 %.

    python -m bench cost-per-message [--messages 1000000] [--runs 1]

`--messages` is the largest run; the others are a tenth and a hundredth of it.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from pathlib import Path

import cases
import load

FLAT = 0.20


async def _all(stack: load.Stack, options: cases.argparse.Namespace) -> dict[int, list[cases.Stretch]]:
    await cases.warm(stack, options.warm, options.patience)
    sizes = [max(1, options.messages // 100), max(1, options.messages // 10), options.messages]
    found: dict[int, list[cases.Stretch]] = {size: [] for size in sizes}
    for _ in range(options.runs):
        for size in sizes:
            # The patience is for the largest; a thousand a second is what the smallest machine should do.
            patience = max(options.patience, size / 1_000)
            found[size].append(await cases.stretch(stack, size, cases.tasks(stack, size), patience))
    return found


def main() -> None:
    """Run the sizes in turn and print how far the costs lie apart."""
    options = cases.arguments(__doc__, 1_000_000, runs=1).parse_args()
    with tempfile.TemporaryDirectory(prefix="guanxin-bench-") as folder, load.stack(Path(folder), cases.FAST) as stack:
        found = asyncio.run(_all(stack, options))
    cost = {size: statistics.median(sum(run.cpu_us.values()) for run in runs) for size, runs in found.items()}
    values: dict[str, float | str] = {}
    for size, runs in found.items():
        values[f"{size:,} messages: CPU us/message"] = cost[size]
        values[f"{size:,} messages: messages/s"] = cases.median(runs).rate
    smallest, largest = min(cost), max(cost)
    values["largest run against smallest, %"] = (cost[largest] / cost[smallest] - 1) * 100
    values["greatest difference, %"] = (max(cost.values()) / min(cost.values()) - 1) * 100
    values["flat within 20 %"] = "yes" if max(cost.values()) <= min(cost.values()) * (1 + FLAT) else "no"
    last = cases.median(found[largest])
    figures = cases.Figures(
        "cost-per-message",
        "template tasks of 5,000, one size after another on the same stack; components below are of the largest run",
        values,
        last.cpu_us,
        last.memory_mb,
        ok=all(run.ok for runs in found.values() for run in runs),
        runs=options.runs,
    )
    cases.finish(figures, options.json)


if __name__ == "__main__":
    main()
