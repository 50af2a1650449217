"""Messages a second from the HTTP request to the recorded receipt, all parts real, and where the time goes.

Starts a stack of its own (broker, database, every service, the simulated carrier), posts template tasks, waits until every message is
final, and prints rate, latencies, CPU per message and component, memory, and both sides' counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import tempfile
import time
from pathlib import Path

import httpx
import load

CONFIG = """
[stack]
demo = false
simulators = ["smpp"]
workers = {{ dispatch = {workers}, ingest = {others}, spamfilter = {others}, review = {others}, "billing-sync" = {others} }}
environment = {{ GUANXIN_KAFKA_PARTITIONS = "{partitions}" }}
simulator_link = {{ rate = 1000000, sessions = {sessions}, window = {window}, accounts = {links}, workers = {spread} }}
"""


async def _run(stack: load.Stack, messages: int, per_task: int, patience_s: float) -> dict[str, object]:
    cpu = load.Cpu(stack)
    bodies = [load.task_body(first, min(per_task, messages - first)) for first in range(0, messages, per_task)]
    limits = httpx.Limits(max_connections=8)
    async with httpx.AsyncClient(base_url=stack.api, timeout=120, limits=limits) as http:
        await http.post(f"{stack.simulator()}/reset")
        # Runs share a stack, and the ledger goes back to yesterday: what was there before this run is taken off.
        before = await load.ledger(http, stack.token)
        disk = load.disk_octets(stack)
        cpu.start()
        begun = time.monotonic()
        gate = asyncio.Semaphore(4)

        async def one(number: int, body: bytes) -> float:
            async with gate:
                return (await load.post(http, "/v1/tasks", body, stack.key, f"bench-{begun}-{number}"))[1]

        accepts = await asyncio.gather(*(one(number, body) for number, body in enumerate(bodies)))
        accepted_after = time.monotonic() - begun
        states = await load.until_final(http, stack.token, before["total"] + messages, patience_s)
        states = {name: count - before.get(name, 0) for name, count in states.items()}
        took = time.monotonic() - begun
        spent = cpu.spent()
        seen = (await http.get(f"{stack.simulator()}/stats")).json()
    memory = {
        name: sum(process.memory_info().rss for process in processes if process.is_running()) / 1e6
        for name, processes in stack.processes().items()
    }
    grown = {name: octets - disk[name] for name, octets in load.disk_octets(stack).items()}
    return {
        "messages": messages,
        "disk_octets": {name: octets / messages for name, octets in grown.items()},
        "seconds": took,
        "rate": messages / took,
        "accepted_after": accepted_after,
        "accept_p50": load.percentile(accepts, 0.5),
        "accept_p99": load.percentile(accepts, 0.99),
        "cpu_us": {name: seconds / messages * 1e6 for name, seconds in spent.items()},
        "memory_mb": memory,
        "states": states,
        "carrier": {name: seen[name] for name in ("submits", "distinct", "duplicates", "receipts_answered")},
        "lost": load.lost(states, seen),
    }


def _print(result: dict[str, object]) -> None:
    print(
        f"\n{platform.machine()} {platform.system()}, {time.strftime('%Y-%m-%d')}, 2 cores assumed for the shares below"
    )
    print(f"messages                    {result['messages']:>12,}")
    print(f"seconds, request to receipt {result['seconds']:>12.2f}")
    print(f"messages per second         {result['rate']:>12,.0f}")
    print(f"all tasks accepted after    {result['accepted_after']:>12.2f} s")
    print(f"accepting a task p50 / p99  {result['accept_p50']:>8.3f} / {result['accept_p99']:.3f} s")
    print("\ncomponent            CPU us/message     RSS MB")
    cpu, memory = result["cpu_us"], result["memory_mb"]
    assert isinstance(cpu, dict)
    assert isinstance(memory, dict)
    for name in sorted(cpu, key=lambda name: -cpu[name]):
        print(f"{name:<20} {cpu[name]:>14.1f} {memory.get(name, 0):>10.0f}")
    print(f"{'all':<20} {sum(cpu.values()):>14.1f} {sum(memory.values()):>10.0f}")
    disk = result["disk_octets"]
    assert isinstance(disk, dict)
    print("octets on disk a message: " + ", ".join(f"{name} {octets:,.0f}" for name, octets in disk.items()))
    print(f"\nledger   {result['states']}")
    print(f"carrier  {result['carrier']}")
    print(f"lost {result['lost']}, duplicated {result['carrier']['duplicates']}")  # type: ignore[index]


def main() -> None:
    """Run and print; exit code 1 when a message was lost or not final in time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--per-task", type=int, default=5_000)
    parser.add_argument("--sessions", type=int, default=8, help="of each account at the carrier")
    parser.add_argument(
        "--window", type=int, default=200, help="unanswered submits of a session; small ones are the limit, not CPU"
    )
    parser.add_argument("--workers", type=int, default=1, help="dispatch workers")
    parser.add_argument("--others", type=int, default=1, help="workers of each other service")
    parser.add_argument("--partitions", type=int, default=0, help="of each topic, 0: its own number")
    parser.add_argument("--links", type=int, default=1, help="accounts at the carrier, each with --sessions")
    parser.add_argument("--spread", type=int, default=0, help="workers a link's sessions are spread over, 0: all")
    parser.add_argument("--runs", type=int, default=1, help="the median run is printed")
    parser.add_argument("--patience", type=float, default=300)
    parser.add_argument("--json", type=Path, help="also write the result here")
    options = parser.parse_args()
    config = CONFIG.format(**vars(options))
    with tempfile.TemporaryDirectory(prefix="guanxin-bench-") as folder, load.stack(Path(folder), config) as stack:
        results = [
            asyncio.run(_run(stack, options.messages, options.per_task, options.patience)) for _ in range(options.runs)
        ]
    result = sorted(results, key=lambda one: one["rate"])[len(results) // 2]  # type: ignore[arg-type,return-value]
    _print(result)
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2, ensure_ascii=False), encoding="utf-8")
    states = result["states"]
    assert isinstance(states, dict)
    final = sum(states.get(name, 0) for name in load.FINAL)
    raise SystemExit(1 if result["lost"] or final < options.messages else 0)


if __name__ == "__main__":
    main()
