"""``python -m sim.modem``: a pool of simulated GSM modems, on pseudo terminals or TCP ports, with its HTTP side.

Example: ``python -m sim.modem --modems 4 --directory /tmp/modems --http-port 8095``
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
import uvicorn
import uvloop

from sim.modem.device import Identity
from sim.modem.faults import ModemFaults, changed
from sim.modem.http import build_app
from sim.modem.pool import Pool, PortOf
from sim.modem.port import Port, PtyPort, TcpPort


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sim.modem", description=__doc__)
    parser.add_argument("--modems", type=int, default=1, help="how many, 1 to 64")
    parser.add_argument("--directory", type=Path, help="where the terminals' names go; a new one when left out")
    parser.add_argument("--tcp", metavar="HOST:PORT", help="TCP instead: the first modem's port; 0 takes free ones")
    parser.add_argument("--host", default="127.0.0.1", help="where HTTP listens")
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--first-number", default="8613900000001", help="the first modem's card number, digits")
    parser.add_argument("--pin", default="1234")
    parser.add_argument("--faults", default="{}", help="JSON object, as PUT /faults takes it")
    return parser.parse_args(argv)


def identities(count: int, first_number: str, pin: str) -> list[Identity]:
    """Return so many modems with numbers in a row; raises ValueError."""
    if not 1 <= count <= 64:
        raise ValueError("--modems: 1 to 64")
    if not (first_number.isascii() and first_number.isdigit() and 3 <= len(first_number) <= 15):
        raise ValueError("--first-number: 3 to 15 digits")
    if not (pin.isascii() and pin.isdigit() and 4 <= len(pin) <= 8):
        raise ValueError("--pin: 4 to 8 digits")
    return [
        Identity(
            name=f"modem-{place}",
            number=str(int(first_number) + place - 1),
            imei=f"8612345678{place:05}",
            imsi=f"46000{place:010}",
            iccid=f"898600{place:014}",
            pin=pin,
        )
        for place in range(1, count + 1)
    ]


def ports(options: argparse.Namespace, names: Sequence[str]) -> list[PortOf]:
    """Return where each is plugged in."""
    if options.tcp:
        host, _, port = options.tcp.rpartition(":")
        if not host or not port.isdecimal():
            raise ValueError("--tcp: HOST:PORT")
        first = int(port)
        return [partial(_tcp, host, first + place if first else 0) for place in range(len(names))]
    directory = options.directory or Path(tempfile.mkdtemp(prefix="guanxin-modems-"))
    return [partial(_pty, directory / name) for name in names]


def _tcp(host: str, port: int, on_octets: Callable[[bytes], None]) -> Port:
    return TcpPort(host, port, on_octets)


def _pty(path: Path, on_octets: Callable[[bytes], None]) -> Port:
    return PtyPort(path, on_octets)


async def _serve(options: argparse.Namespace, pool: Pool) -> None:
    try:
        await pool.start()
        for modem in pool.shown():
            print(f"modem simulator: {modem.name} on {modem.address}", flush=True)
        config = uvicorn.Config(
            build_app(pool), host=options.host, port=options.http_port, log_level="warning", access_log=False
        )
        pulling = asyncio.create_task(pool.run())
        # The HTTP server owns the signals: when it returns, the simulator is asked to stop.
        await uvicorn.Server(config).serve()
        pulling.cancel()
    finally:
        await pool.close()


def main(argv: Sequence[str]) -> int:
    """Run until stopped; returns 2 for arguments that make no sense."""
    options = _arguments(argv)
    try:
        known = identities(options.modems, options.first_number, options.pin)
        faults = changed(ModemFaults(), msgspec.json.decode(options.faults, type=dict))
        places = ports(options, [identity.name for identity in known])
        pool = Pool(list(zip(known, places, strict=True)), faults)
    except (ValueError, OSError) as error:  # FaultsError is a ValueError
        print(f"sim.modem: {error}", file=sys.stderr)
        return 2
    uvloop.run(_serve(options, pool))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
