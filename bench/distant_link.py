"""A carrier 20 ms away with an agreed rate of 2,000/s: the most it saw in any second, and the mean rate that was reached.

    python -m bench distant-link [--messages 60000] [--rate 2000] [--rtt 20] [--sessions 4] [--window 50]

The distance is a TCP proxy that hands every octet on half a round trip later; what a round trip through such a one really takes is measured
first, with nothing behind it but an echo.  The mean is taken over the seconds between the first and the last tenth of the submits.
Least: never above R in any second, mean >= R / (1 + RTT).
"""

from __future__ import annotations

import asyncio
import socket
import socketserver
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import cases
import httpx
import load
from gateways import sink
from gateways.programs import Program, free_port, listens

CONFIG = """
[stack]
demo = false
simulators = []
[[links]]
name = "distant"
protocol = "smpp34"
host = "127.0.0.1"
port = {port}
system_id = "{account}"
password = "{secret}"
rate = {rate}
sessions = {sessions}
window = {window}
"""


PINGS = 200


class _Echo(socketserver.BaseRequestHandler):
    """Sends back what it gets."""

    def handle(self) -> None:
        while octets := self.request.recv(4096):
            self.request.sendall(octets)


class _Echoes(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


def _round_trip_s(folder: Path, delay: list[str]) -> float:
    """Return the median seconds of a round trip through a proxy of its own to an echo."""
    with _Echoes(("127.0.0.1", 0), _Echo) as echo:
        threading.Thread(target=echo.serve_forever, daemon=True).start()
        port = free_port()
        proxy = Program("ping", [sys.executable, delay[0], str(port), str(echo.server_address[1]), delay[1]], folder)
        proxy.start(lambda: listens(port))
        try:
            with socket.create_connection(("127.0.0.1", port), 10) as near:
                near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                taken = []
                for _ in range(PINGS):
                    begun = time.perf_counter()
                    near.sendall(b"x" * 64)
                    near.recv(64, socket.MSG_WAITALL)
                    taken.append(time.perf_counter() - begun)
        finally:
            proxy.stop()
            echo.shutdown()
    return statistics.median(taken)


async def _watch(carrier: str, seen: list[tuple[float, int]]) -> None:
    async with httpx.AsyncClient() as http:
        while True:
            submits = (await http.get(f"{carrier}/stats")).json()["submits"]
            seen.append((time.monotonic(), submits))
            await asyncio.sleep(0.1)


def _mean(seen: list[tuple[float, int]], messages: int) -> float:
    """Return submits a second between the first and the last tenth."""
    inner = [look for look in seen if messages * 0.1 <= look[1] <= messages * 0.9]
    if len(inner) < 2 or inner[-1][0] == inner[0][0]:
        return 0.0
    return (inner[-1][1] - inner[0][1]) / (inner[-1][0] - inner[0][0])


async def _run(stack: load.Stack, options: cases.argparse.Namespace, carrier: str) -> tuple[cases.Stretch, float]:
    seen: list[tuple[float, int]] = []
    watching = asyncio.create_task(_watch(carrier, seen))
    try:
        patience = options.patience + options.messages / options.rate
        send = cases.tasks(stack, options.messages)
        run = await cases.stretch(stack, options.messages, send, patience, carrier=carrier)
    finally:
        watching.cancel()
    # The first look may still be at what the run before counted.
    reset = next(place for place, look in enumerate(seen) if look[1] < options.messages * 0.1)
    return run, _mean(seen[reset:], options.messages)


def main() -> None:
    """Run and print."""
    parser = cases.arguments(__doc__, 60_000)
    parser.add_argument("--rate", type=int, default=2_000, help="agreed, messages a second")
    parser.add_argument("--rtt", type=float, default=20.0, help="milliseconds there and back")
    parser.add_argument("--sessions", type=int, default=sink.SESSIONS)
    parser.add_argument("--window", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="guanxin-bench-") as name:
        folder = Path(name)
        carrier, port = sink.Carrier(folder, receipts=True), free_port()
        here = str(Path(__file__).with_name("delay.py"))
        rtt_s = _round_trip_s(folder, [here, str(options.rtt / 2)])
        proxy = Program("delay", [sys.executable, here, str(port), str(carrier.port), str(options.rtt / 2)], folder)
        config = CONFIG.format(
            port=port, account=sink.ACCOUNT, secret=sink.SECRET, rate=options.rate, sessions=options.sessions,
            window=options.window,
        )  # fmt: skip
        try:
            carrier.start()
            proxy.start(lambda: listens(port))
            with load.stack(folder / "stack", config) as stack:
                asyncio.run(cases.warm(stack, options.warm, options.patience, carrier.url))
                runs = [asyncio.run(_run(stack, options, carrier.url)) for _ in range(options.runs)]
        finally:
            proxy.stop()
            carrier.program.stop()
    middle, mean = sorted(runs, key=lambda run: run[1])[len(runs) // 2]
    least = options.rate / (1 + rtt_s)
    most = max(run.carrier["max_submits_in_1s"] for run, _ in runs)
    figures = cases.Figures(
        "distant-link",
        f"{options.messages:,} messages, {options.rtt:g} ms there and back, {options.rate:,}/s agreed, "
        f"{options.sessions} sessions with a window of {options.window}",
        {
            "most submits in any second, all runs": float(most),
            "never above the agreed rate": "yes" if most <= options.rate else "NO",
            "mean submits/s": mean,
            "mean submits/s, least / median / greatest": cases.spread([mean for _, mean in runs]),
            "round trip without us, ms": rtt_s * 1e3,
            "least asked for: R / (1 + RTT)": least,
            "mean against that, %": mean / least * 100,
        },
        middle.cpu_us,
        middle.memory_mb,
        ok=all(run.ok for run, _ in runs) and most <= options.rate,
        runs=options.runs,
    )
    cases.finish(figures, options.json)


if __name__ == "__main__":
    main()
