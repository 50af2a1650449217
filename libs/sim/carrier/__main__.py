"""``python -m sim.carrier``: a simulated carrier gateway of one protocol, or several of several, with their HTTP side.

Examples: ``python -m sim.carrier --protocol smpp34 --port 2775 --http-port 8090 --account gx:secret:2`` and
``python -m sim.carrier --gateways carriers.json --http-port 8090``, a JSON list of ``{"protocol", "port", "accounts", "name",
"carriers", "settings"}``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import uvicorn
import uvloop

from carrier.dialects import NAMES
from carrier.errors import UsageError
from sim.carrier.faults import Faults, changed
from sim.carrier.gateway import Account
from sim.carrier.http import build_app
from sim.carrier.hub import Hub, Offer
from sim.carrier.script import Step, parse_script


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sim.carrier", description=__doc__)
    parser.add_argument("--protocol", default="smpp34", choices=sorted(NAMES))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, help="carrier port; 0 takes a free one and prints it")
    parser.add_argument("--gateways", type=Path, help="JSON list of several gateways, in place of one by options")
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--account", action="append", default=[], metavar="NAME:SECRET[:SESSIONS]")
    parser.add_argument("--accounts-file", type=Path, help='JSON list of {"account", "secret", "sessions"}')
    parser.add_argument(
        "--listener",
        action="append",
        default=[],
        metavar="NAME=HOST:PORT[=LOGIN]",
        help="where account NAME waits for receipts and replies, where the carrier calls (SGIP); "
        "the secret of that bind is the account's own, or GUANXIN_SIM_LISTENER_PASSWORD",
    )
    parser.add_argument("--settings", default="{}", help="JSON object: the dialect's settings of the link")
    parser.add_argument("--faults", default="{}", help="JSON object, as PUT /faults takes it")
    parser.add_argument("--script", type=Path, help="JSON list of {at_s, faults}")
    return parser.parse_args(argv)


def _accounts(options: argparse.Namespace) -> list[Account]:
    accounts = []
    if options.accounts_file is not None:
        accounts = msgspec.json.decode(options.accounts_file.read_bytes(), type=list[Account])
    for text in options.account:
        name, _, rest = text.partition(":")
        secret, _, sessions = rest.partition(":")
        accounts.append(Account(name, secret, int(sessions or 1)))
    if "GUANXIN_SIM_SYSTEM_ID" in os.environ:
        # A secret on a command line can be read by everybody on the machine.
        environment = os.environ
        accounts.append(
            Account(
                environment["GUANXIN_SIM_SYSTEM_ID"],
                environment["GUANXIN_SIM_PASSWORD"],
                int(environment.get("GUANXIN_SIM_SESSIONS", "1")),
            )
        )
    if not accounts:
        raise ValueError(
            "no account: give --account, --accounts-file or GUANXIN_SIM_SYSTEM_ID and GUANXIN_SIM_PASSWORD"
        )
    return _with_listeners(accounts, options.listener)


def _with_listeners(accounts: list[Account], listeners: Sequence[str]) -> list[Account]:
    """Return the accounts, each with the listener that was given for it."""
    by_name = {account.account: account for account in accounts}
    for text in listeners:
        name, _, rest = text.partition("=")
        where, _, login = rest.partition("=")
        if name not in by_name or not where:
            raise ValueError("--listener: NAME=HOST:PORT of a known account")
        account = by_name[name]
        secret = account.listener_secret or os.environ.get("GUANXIN_SIM_LISTENER_PASSWORD") or account.secret
        by_name[name] = msgspec.structs.replace(account, listener=where, listener_account=login, listener_secret=secret)
    return list(by_name.values())


def _offers(options: argparse.Namespace) -> list[Offer]:
    if options.gateways is not None:
        offers = msgspec.json.decode(options.gateways.read_bytes(), type=list[Offer])
        if not offers:
            raise ValueError("--gateways: an empty list")
        return offers
    if options.port is None:
        raise ValueError("--port or --gateways is needed")
    settings = msgspec.json.decode(options.settings, type=dict)
    return [Offer(options.protocol, options.port, _accounts(options), settings=settings)]


async def _follow(hub: Hub, steps: Sequence[Step]) -> None:
    clock = hub.first.clock
    started = clock()
    for step in steps:
        await asyncio.sleep(max(0.0, started + step.at_s - clock()))
        for gateway in hub.chosen(""):
            gateway.behaviour.change(changed(gateway.behaviour.faults, step.faults))


async def _serve(options: argparse.Namespace, hub: Hub, ports: Sequence[int], steps: Sequence[Step]) -> None:
    gateways = hub.chosen("")
    for gateway, wanted in zip(gateways, ports, strict=True):
        port = await gateway.listen(options.host, wanted)
        name = gateway.dialect.name
        print(f"carrier simulator: {name} on {options.host}:{port}, http {options.http_port}", flush=True)
    config = uvicorn.Config(
        build_app(hub), host=options.host, port=options.http_port, log_level="warning", access_log=False
    )
    async with asyncio.TaskGroup() as tasks:
        work = [tasks.create_task(gateway.run()) for gateway in gateways]
        work.append(tasks.create_task(_follow(hub, steps)))
        # The HTTP server owns the signals: when it returns, the simulator is asked to stop.
        await uvicorn.Server(config).serve()
        for gateway in gateways:
            await gateway.close()
        for task in work:
            task.cancel()


def main(argv: Sequence[str]) -> int:
    """Run until stopped; returns 2 for arguments that make no sense."""
    options = _arguments(argv)
    try:
        offers = _offers(options)
        faults = changed(Faults(), msgspec.json.decode(options.faults, type=dict))
        steps = parse_script(options.script.read_bytes()) if options.script else []
        hub = Hub.of(offers, faults)
    except (ValueError, OSError, UsageError) as error:  # FaultsError is a ValueError
        print(f"sim.carrier: {error}", file=sys.stderr)
        return 2
    uvloop.run(_serve(options, hub, [offer.port for offer in offers], steps))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
