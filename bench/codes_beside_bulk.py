"""Verification codes while a bulk file of 1,000,000 rows is being sent: how long from accept to submit.

    python -m bench codes-beside-bulk [--messages 1000000] [--codes 2000] [--rate 50]

Codes are posted evenly, one request each, from before the file is; those count that are posted from when the carrier gets the first
messages of the file.  With ``--cold`` none is posted before: what the first second then costs is in the figures.  Accept is the moment in
each code's own timeline, submit the moment the simulated carrier had read the code from its socket; both are of one clock.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cases
import httpx
import load
import uvloop
from gateways.gateway import post
from httpload import Traffic

from guanxin.stack.seed import CODES, POWER

READERS = 16
LEAD_S = 3.0
"""Codes flow for so long before the file is posted."""
FIRST = 2_000
"""Submits by which the carrier has messages of the file, and not only the codes before it."""


def _file(path: Path, rows: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("to,name,account,amount\n")
        for recipient in load.recipients(0, rows, variables=True):
            values = recipient["variables"]
            file.write(f"{recipient['to']},{values['name']},{values['account']},{values['amount']}\n")


async def _upload(http: httpx.AsyncClient, stack: load.Stack, path: Path) -> float:
    """Post the file, and return the seconds until it was accepted."""
    begun = time.monotonic()
    fields = {"port": POWER.port, "class": "notice", "template": load.TEMPLATE, "validity": "86400"}
    headers = {"Authorization": f"Bearer {stack.key}"}
    with path.open("rb") as rows:
        answer = await http.post(
            "/v1/tasks/upload", data=fields, files={"file": ("rows.csv", rows, "text/csv")}, headers=headers
        )
    if answer.status_code != 202:
        raise RuntimeError(f"upload: {answer.status_code} {answer.text[:300]}")
    return time.monotonic() - begun


def _code(stack: load.Stack, number: int) -> bytes:
    body = {
        "port": CODES.port,
        "to": f"136{number:08d}",
        "content": f"【示范银行】您的验证码是{number:06d}，5分钟内有效，请勿告诉他人。",
        "class": "verification",
    }
    return post("/v1/messages", json.dumps(body, ensure_ascii=False).encode(), stack.key)


async def _timelines(
    http: httpx.AsyncClient, stack: load.Stack, answers: list[tuple[int, bytes]]
) -> list[dict[str, Any]]:
    """Return each code as the platform tells of it."""
    gate = asyncio.Semaphore(READERS)
    headers = {"Authorization": f"Bearer {stack.key}"}

    async def one(body: bytes) -> dict[str, Any]:
        async with gate:
            answer = await http.get(f"/v1/messages/{json.loads(body)['id']}", headers=headers)
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document

    return await asyncio.gather(*(one(body) for _, body in answers))


def waits(codes: list[dict[str, Any]], state: str) -> list[float]:
    """Return the seconds from accept until each code was first in this state; raises where one never was."""
    found = []
    for code in codes:
        moments = [step["at"] for step in code["timeline"] if step["state"] == state]
        if not moments:
            raise RuntimeError(f"a code was never {state}: {code['state']}")
        found.append((min(moments) - code["accepted_at"]) / 1e3)
    return found


def until_arrival(codes: list[dict[str, Any]], arrivals: list[tuple[str, float]]) -> list[float]:
    """Return the seconds from accept until the carrier first had each code; raises where one never came."""
    first: dict[str, float] = {}
    for recipient, at in arrivals:
        number = recipient.removeprefix("+")[-11:]
        first[number] = min(at, first.get(number, at))
    return [first[code["to"][-11:]] - code["accepted_at"] / 1e3 for code in codes]


async def _submitting(http: httpx.AsyncClient, carrier: str, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while (await http.get(f"{carrier}/stats")).json()["submits"] < FIRST:
        if time.monotonic() > deadline:
            raise TimeoutError("the file's messages did not reach the carrier")
        await asyncio.sleep(0.1)


async def _run(stack: load.Stack, options: cases.argparse.Namespace, folder: Path) -> cases.Figures:
    await cases.warm(stack, options.warm, options.patience)
    carrier = stack.simulator()
    rows = folder / "rows.csv"
    _file(rows, options.messages)
    limits = httpx.Limits(max_connections=READERS)
    async with httpx.AsyncClient(base_url=stack.api, timeout=600, limits=limits) as http:
        total = (await load.ledger(http, stack.token))["total"]
        await http.post(f"{carrier}/reset")
        await http.put(f"{carrier}/watch", json={"sender": CODES.port})
        cpu = load.Cpu(stack)
        cpu.start()
        answers: list[tuple[int, bytes]] = []
        traffic = Traffic(
            "127.0.0.1", int(urlsplit(stack.api).port or 0), lambda place: _code(stack, place), 1_000_000,
            connections=8, rate=options.rate, answers=answers,
        )  # fmt: skip
        flowing = None if options.cold else asyncio.create_task(traffic.run())
        if flowing is not None:
            await asyncio.sleep(LEAD_S)
        begun = time.monotonic()
        accepting = asyncio.create_task(_upload(http, stack, rows))
        await _submitting(http, carrier, options.patience)
        before, counted_from = traffic.done, time.time() * 1e3
        traffic.stop = lambda: traffic.done >= before + options.codes
        await (flowing or traffic.run())
        beside = (await http.get(f"{carrier}/stats")).json()["submits"] - traffic.done
        accepted_after = await accepting
        patience = max(options.patience, options.messages / 1_000)
        states = await load.until_final(http, stack.token, total + options.messages + traffic.done, patience)
        seconds = time.monotonic() - begun
        spent = cpu.spent()
        codes = [code for code in await _timelines(http, stack, answers) if code["accepted_at"] >= counted_from]
        arrivals = (await http.get(f"{carrier}/arrivals")).json()
        await http.put(f"{carrier}/watch", json={"sender": ""})
        seen = (await http.get(f"{carrier}/stats")).json()
    submits = until_arrival(codes, arrivals)
    everything = options.messages + traffic.done
    return cases.Figures(
        "codes-beside-bulk",
        f"{len(codes):,} codes at {options.rate:g}/s beside a file of {options.messages:,} rows; each code as the carrier had it",
        {
            **cases.latencies("accept to submit", submits),
            "accept to submit greatest, ms": max(submits) * 1e3,
            **cases.latencies("accept to the carrier's answer", waits(codes, "submitted")),
            **cases.latencies("accept to screened", waits(codes, "screened")),
            **cases.latencies("accept to released", waits(codes, "released")),
            **cases.latencies("accept to queued in dispatch", waits(codes, "queued")),
            "codes demoted to another class": float(
                sum(any("demoted_to" in step for step in code["timeline"]) for code in codes)
            ),
            **cases.latencies("request to 202", traffic.seconds),
            "bulk messages/s over the whole run": options.messages / seconds,
            "bulk messages submitted when the last code was accepted": float(max(0, beside)),
            "file accepted after, s": accepted_after,
        },
        {name: value / everything * 1e6 for name, value in spent.items()},
        cases.memory(stack),
        ok=seen["distinct"] >= everything and states["total"] >= total + everything,
    )


def main() -> None:
    """Run once and print."""
    parser = cases.arguments(__doc__, 1_000_000, runs=1)
    parser.add_argument("--codes", type=int, default=2_000)
    parser.add_argument("--rate", type=float, default=50.0, help="codes a second")
    parser.add_argument("--cold", action="store_true", help="post no code before the file")
    options = parser.parse_args()
    runs = []
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory(prefix="guanxin-bench-") as name:
            folder = Path(name)
            with load.stack(folder / "stack", cases.FAST) as stack:
                runs.append(uvloop.run(_run(stack, options, folder)))
    middle = sorted(runs, key=lambda run: float(run.values["accept to submit p99, ms"]))[len(runs) // 2]
    middle.runs = options.runs
    cases.finish(middle, options.json)


if __name__ == "__main__":
    main()
