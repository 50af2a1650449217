"""The simulated carriers of the local stack: whatever is chosen of them, the links and the gateways fit each other."""

from __future__ import annotations

import itertools
from collections import Counter

import msgspec
import pytest

from dispatch.domain.linkconfig import parse_links
from dispatch.domain.routing import ALL_LETTERS, RouteLink, RouteTable
from guanxin.stack import carriers
from sim.carrier.faults import Faults
from sim.carrier.hub import Hub, Offer

KINDS = tuple(carriers.CARRIERS)
CHOICES = [chosen for count in (1, 2, len(KINDS)) for chosen in itertools.permutations(KINDS, count)][:40]
AGREED = {"rate": 100, "sessions": 2, "window": 32}


@pytest.mark.parametrize("kinds", CHOICES, ids="-".join)
def test_every_number_has_a_way_and_the_phones_know_it(kinds: tuple[str, ...]) -> None:
    ports, calls = carriers.usual_ports(kinds), carriers.usual_calls(kinds)
    links = parse_links(carriers.links(kinds, ports, calls, "8octets.", AGREED))
    offers = msgspec.convert(carriers.gateways(kinds, ports, calls, "8octets.", 2), list[Offer])
    hub = Hub.of(offers, Faults())
    table = RouteTable(RouteLink(link.name, link.group, link.rank, link.letters, True) for link in links)
    for letter in ALL_LETTERS:
        (way,) = table.route(letter).links
        home = hub._serves[letter]
        assert way == f"sim-{home}", "a reply comes by the network the message went by"
    for link, offer in zip(links, offers, strict=True):
        (account,) = offer.accounts
        assert (link.protocol, link.port, link.account) == (offer.protocol, offer.port, account.account)
        assert account.listener == (f"127.0.0.1:{link.listen_port}" if link.called else "")


def test_several_accounts_are_several_links_of_one_group() -> None:
    ports, calls = carriers.usual_ports(KINDS), carriers.usual_calls(KINDS)
    links = parse_links(carriers.links(KINDS, ports, calls, "8octets.", {**AGREED, "workers": 1}, 3))
    offers = msgspec.convert(carriers.gateways(KINDS, ports, calls, "8octets.", 2, 3), list[Offer])
    accounts = {(offer.port, account.account) for offer in offers for account in offer.accounts}
    assert {(link.port, link.account) for link in links} == accounts
    of_protocol = Counter(link.protocol for link in links)
    assert of_protocol == {"smpp34": 3, "cmpp20": 3, "cmpp30": 3, "smgp30": 3, "sgip12": 1}
    assert {link.workers for link in links} == {1}


def test_one_simulator_keeps_its_own_name() -> None:
    assert carriers.component(["smpp"]) == "sim-smpp"
    assert carriers.component(KINDS) == "sim-carriers"
    taken = list(
        (carriers.usual_ports(KINDS) | {f"{k}-calls": p for k, p in carriers.usual_calls(KINDS).items()}).values()
    )
    assert len(taken) == len(set(taken))
