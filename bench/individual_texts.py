"""Tasks whose every recipient has a text of its own beside tasks of one template with variables: what screening each text costs.

    python -m bench individual-texts [--messages 100000] [--runs 3]

An individual text is a template that is nothing but its variable, so all of it is screened anew for each recipient.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

import cases
import load
from gateways.gateway import text_of

from guanxin.stack.seed import POWER


def individual(first: int, count: int) -> bytes:
    """Return the JSON of a task in which nothing of the text is shared."""
    numbers = load.recipients(first, count, variables=False)
    body = {
        "port": POWER.port,
        "class": "notice",
        "template": "{text}",
        "validity": 86_400,
        "recipients": [
            {"to": number, "variables": {"text": text_of(place)}} for place, number in enumerate(numbers, first)
        ],
    }
    return json.dumps(body, ensure_ascii=False).encode()


async def _all(stack: load.Stack, options: cases.argparse.Namespace) -> dict[str, list[cases.Stretch]]:
    await cases.warm(stack, options.warm, options.patience)
    found: dict[str, list[cases.Stretch]] = {"template": [], "individual": []}
    for _ in range(options.runs):
        for name, body in (("template", load.task_body), ("individual", individual)):
            send = cases.tasks(stack, options.messages, body=body)
            found[name].append(await cases.stretch(stack, options.messages, send, options.patience))
    return found


def main() -> None:
    """Run both in turn and print them beside each other."""
    options = cases.arguments(__doc__, 100_000).parse_args()
    with tempfile.TemporaryDirectory(prefix="guanxin-bench-") as folder, load.stack(Path(folder), cases.FAST) as stack:
        found = asyncio.run(_all(stack, options))
    middle = {name: cases.median(runs) for name, runs in found.items()}
    values: dict[str, float | str] = {}
    for name, run in middle.items():
        values[f"{name}: messages/s"] = run.rate
        values[f"{name}: CPU us/message, all"] = sum(run.cpu_us.values())
        values[f"{name}: CPU us/message, spamfilter"] = run.cpu_us.get("spamfilter-1", 0.0)
    values["individual : template, messages/s"] = middle["individual"].rate / middle["template"].rate
    figures = cases.Figures(
        "individual-texts",
        f"{options.messages:,} messages in tasks of 5,000, each kind in turn; components below are of individual texts",
        values,
        middle["individual"].cpu_us,
        middle["individual"].memory_mb,
        ok=all(run.ok for runs in found.values() for run in runs),
        runs=options.runs,
    )
    cases.finish(figures, options.json)


if __name__ == "__main__":
    main()
