"""Every protocol on the whole stack: a number's carrier decides the link, and receipts and replies come back by each."""

from __future__ import annotations

import itertools
import json
import secrets
import subprocess
import sys

import httpx
import pytest

from guanxin.stack.carriers import CARRIERS
from guanxin.stack.seed import BANK, POWER

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("stack"), pytest.mark.timeout(300)]

PREFIXES = {"smpp": "170", "cmpp20": "192", "cmpp30": "138", "sgip12": "130", "smgp30": "133"}
LONG = "【示范电力】尊敬的客户，您所在片区因线路检修计划停电，请提前做好准备，恢复送电时间可能提前。" * 3

_numbers = itertools.count(secrets.randbelow(90_000_000) + 1_000_000)


def phone_of(kind: str) -> str:
    return f"{PREFIXES[kind]}{next(_numbers) % 10_000_000:07d}7"  # never the suffix that is not reachable


@pytest.fixture(scope="module")
def links(world) -> dict[str, dict]:
    answer = httpx.get(f"{world.service('dispatch')}/v1/links", headers=world.operator, timeout=30)
    assert answer.status_code == 200, answer.text
    return {link["name"]: link for link in answer.json()["links"]}


def test_one_link_of_each_protocol_is_bound(links) -> None:
    assert {name: link["protocol"] for name, link in links.items()} == {
        f"sim-{kind}": row.protocol for kind, row in CARRIERS.items()
    }
    assert all(link["sessions_bound"] == link["sessions_agreed"] == 2 for link in links.values())
    assert [name for name, link in links.items() if link["listens"]] == ["sim-sgip12"]


@pytest.mark.parametrize("kind", CARRIERS)
def test_a_message_and_its_reply_through_each_carrier(world, links, kind: str) -> None:
    assert links[f"sim-{kind}"]["sessions_bound"]
    number, mark = phone_of(kind), secrets.token_hex(4)
    short = world.send(BANK.port, number, f"【示范银行】您的账单{mark}已出。")
    long = world.send(POWER.port, number, LONG + mark)
    for message in (short, long):
        document = world.until_final(message)
        assert document["state"] == "delivered"
        assert {segment["link"] for segment in document["segments"]} == {f"sim-{kind}"}
        assert all("receipt" in segment and segment["carrier_id"] for segment in document["segments"])
    assert set(world.shown_on(number)) == {f"【示范银行】您的账单{mark}已出。", LONG + mark}
    world.phone_says(number, BANK.port, f"收到{mark}")
    page = world.until(lambda: world.get("/v1/replies", number=number)["items"], "no reply")
    assert [(reply["text"], reply["message_id"]) for reply in page] == [(f"收到{mark}", short)]


def test_all_carriers_are_charged_and_added_up_in_the_ledger(stack, world) -> None:
    sent = [world.send(BANK.port, phone_of(kind), f"【示范银行】对账{secrets.token_hex(4)}。") for kind in PREFIXES]
    for message in sent:
        world.until_final(message)
    for message in sent:  # a file is made every twenty seconds, for all of them
        world.until(
            lambda message=message: any(step["state"] == "charged" for step in world.message(message)["timeline"]),
            f"{message} was never charged",
        )
    ledger = json.loads(stack.cli("ledger", "--json").stdout)
    assert (ledger["holds"], ledger["lost"], ledger["unaccounted"]) == (True, 0, 0)
    assert set(ledger["gateways"]) == set(CARRIERS)
    assert all(counts["distinct"] > 0 for counts in ledger["gateways"].values())
    assert ledger["carrier"]["distinct"] == sum(counts["distinct"] for counts in ledger["gateways"].values())
    shown = stack.cli("links").stdout
    assert all(row.protocol in shown for row in CARRIERS.values())


def test_the_demo_ends_as_it_should(stack) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "guanxin.demo"], env=stack.environment, capture_output=True, text=True, check=False,
        timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"sim-{kind}" in done.stdout for kind in CARRIERS), done.stdout
