"""One worker with a link of every protocol at once: a number's carrier decides, and no link disturbs another."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from carrier_links import a_link
from msgspec.structs import replace

from carrier.dialects import NAMES
from contracts.chunk import CARRIERS
from contracts.events.dispatch import MessageReceived, SegmentsAnswered, SegmentsReported

LETTERS = dict(zip(NAMES, "VBMUT", strict=True))
FIRST = {"V": 8617000000000, "B": 8619200000000, "M": 8613800000000, "U": 8613000000000, "T": 8613300000000}
EACH = 40


def reported(running: Any) -> dict[str, set[tuple[str, int]]]:
    found: dict[str, set[tuple[str, int]]] = {}
    for event in running.bus.of(SegmentsReported):
        found.setdefault(event.link, set()).update((event.chunk_id, index) for index in event.indices)
    return found


async def test_every_carriers_numbers_go_by_its_own_link_and_all_come_back(worker_of, tools) -> None:
    async with AsyncExitStack() as stack:
        made = {
            name: await stack.enter_async_context(a_link(name, name=name, carriers=[CARRIERS[letter]]))
            for name, letter in LETTERS.items()
        }
        carriers = {name: carrier for name, (carrier, _) in made.items()}
        running = await stack.enter_async_context(worker_of([link for _, link in made.values()]))
        carriers["cmpp20"].faults(throttle=0.9)
        for letter in LETTERS.values():
            chunk = tools.make_chunk(EACH, first_number=FIRST[letter])
            await running.release(replace(chunk, carriers=letter * EACH))
        mixed = tools.make_chunk(5, text="各走各路")
        await running.release(replace(mixed, recipients=[FIRST[one] + 99 for one in "VBMUT"], carriers="VBMUT"))
        await tools.until(
            lambda: (
                running.check() or all(len(reported(running).get(n, ())) == EACH + 1 for n in NAMES if n != "cmpp20")
            )
        )
        carriers["cmpp20"].faults()
        await tools.until(lambda: running.check() or len(reported(running).get("cmpp20", ())) == EACH + 1)
        assert {name: carrier.stats["distinct"] for name, carrier in carriers.items()} == dict.fromkeys(NAMES, EACH + 1)
        assert {carrier.stats["duplicates"] for carrier in carriers.values()} == {0}
        by = {(event.link, event.protocol, event.carrier) for event in running.bus.of(SegmentsAnswered)}
        assert by == {(name, name, CARRIERS[letter]) for name, letter in LETTERS.items()}
        for name, letter in LETTERS.items():
            carriers[name].gateway.say("gx", str(FIRST[letter]), "10655", f"收到 {name}")
        await tools.until(lambda: running.check() or len(running.bus.of(MessageReceived)) == len(NAMES))
        replies = {(one.link, one.text, one.sender, one.index) for one in running.bus.of(MessageReceived)}
        assert replies == {(name, f"收到 {name}", FIRST[letter], 0) for name, letter in LETTERS.items()}
