"""Carrier protocols: PDUs a second of each codec, submits a second of each session, ours beside foreign implementations.

``make bench NAME=carrier-codec``. Codec figures are the best of many short rounds; session figures the best of a few runs.
Foreign ones (SMSGate's sms-core, npm smpp, Jasmin, smpplib) run unchanged in processes of their own, given our frames.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

from wire import foreign, sessions

from carrier.dialect import Credentials, Dialect
from carrier.dialects import NAMES, dialect
from carrier.events import ReportReceived, SubmitReceived
from carrier.model import Report, ReportState, Role, Submit
from carrier.session import Session, SessionConfig

BATCH = 50
CONTENT = "尊敬的客户您好，您的电费账单已出，请及时缴纳".encode("utf-16-be")
WALL = 1_800_000_000.0


def best(work: Callable[[], object], rounds: int = 60, loops: int = 200) -> float:
    """Microseconds of one call: the quickest of ``rounds`` rounds."""
    quickest = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(loops):
            work()
        quickest = min(quickest, time.perf_counter() - start)
    return quickest / loops * 1e6


def report(message_id: str) -> Report:
    return Report(message_id, ReportState.DELIVERED, True, "", "", "13800000001", "95598", "2601010101", "2601010102")


def codec(made: Dialect) -> dict[str, float]:
    submit = Submit("95598", "13800000001", CONTENT, 8)
    frame = made.submit(submit, 5)
    message_id = made.message_id(77, WALL, frame)
    answer, told = made.answer(frame, 0, message_id), made.deliver(report(message_id), 6)
    parts = {
        "submit": best(lambda: made.submit(submit, 5)),
        "answer": best(lambda: made.read_answer(answer)),
        "report": best(lambda: made.read_deliver(told)),
        "ack": best(lambda: made.answer(told, 0, "")),
    }
    return {"codec": sum(parts.values())} | parts | {"read submit": best(lambda: made.read_submit(frame))}


def session(made: Dialect) -> dict[str, float]:
    limits = replace(made.limits, window=BATCH * 4, peer_window=BATCH * 4)
    client = Session(made, Role.CLIENT, SessionConfig(Credentials("901234", "secret"), limits), 0.0, wall=WALL)
    server = Session(made, Role.SERVER, SessionConfig(limits=limits), 0.0, wall=WALL)
    client.start(0.0)
    server.receive_data(client.bytes_to_send(), 0.0)
    server.answer_bind(None, 0.0)
    client.receive_data(server.bytes_to_send(), 0.0)
    batch = [(n, Submit("95598", f"138{n:08d}", CONTENT, 8)) for n in range(BATCH)]
    ours, theirs = float("inf"), float("inf")
    clock = time.perf_counter
    for _ in range(300):
        a = clock()
        client.submit(batch, 0.0)
        out = client.bytes_to_send()
        b = clock()
        received = [e for e in server.receive_data(out, 0.0) if isinstance(e, SubmitReceived)]
        ids = [made.message_id(e.handle, WALL, e.frame) for e in received]
        c = clock()
        server.answer_many([(e.handle, 0, i) for e, i in zip(received, ids, strict=True)])
        server.deliver([(n, report(i)) for n, i in enumerate(ids)], 0.0)
        back = server.bytes_to_send()
        d = clock()
        client.acknowledge([e.handle for e in client.receive_data(back, 0.0) if isinstance(e, ReportReceived)])
        out = client.bytes_to_send()
        e = clock()
        server.receive_data(out, 0.0)
        ours = min(ours, b - a + e - d)
        theirs = min(theirs, c - b + d - c + clock() - e)
    return {"client": ours / BATCH * 1e6, "server": theirs / BATCH * 1e6}


PARTS = ("submit", "read submit", "report")
"""What every implementation can be asked: a submit written, a submit read, a report read."""


def order(made: Dialect) -> dict[str, object]:
    """The same frames for everybody."""
    submit = made.submit(Submit("95598", "13800000001", CONTENT, 8), 5)
    told = made.deliver(report(made.message_id(77, WALL, submit)), 6)
    return {
        "do": "codec", "protocol": made.name, "submit": submit.hex(), "report": told.hex(), "content": CONTENT.hex(),
    }  # fmt: skip


def codecs(names: list[str], others: list[foreign.Peer]) -> None:
    """PDUs a second and core, ours first; what a foreign one needs of our time behind it."""
    print("PDUs a second on one core; in brackets how many times as fast ours is")
    print(f"{'':8} {'':18}" + "".join(f"{part:>24}" for part in PARTS))
    for name in names:
        made = dialect(name)
        own = codec(made)
        print(f"{name:8} {'ours':18}" + "".join(f"{1e6 / own[part]:>18,.0f}      " for part in PARTS))
        for peer in others:
            if name in peer.protocols:
                took = peer.ask(order(made))
                cells = (f"{1e6 / took[part]:>18,.0f} {took[part] / own[part]:>4.1f}x" for part in PARTS)
                print(f"{'':8} {peer.name:18}" + "".join(f"{cell:>24}" for cell in cells), flush=True)


def engines(names: list[str]) -> None:
    """Microseconds of a message with its report through both sides of a session, in memory."""
    print("\nOne message and its report through the session engine in memory, microseconds")
    for name in names:
        took = session(dialect(name))
        print(f"{name:8} provider {took['client']:.2f}, carrier {took['server']:.2f}")


def rates(names: list[str], others: list[foreign.Peer], count: int, window: int, repeat: int) -> None:
    """Submits a second of one session to the simulator, ours first; the best of some runs each."""
    print(f"\nSubmits a second of one session with a window of {window}, to our simulator in a process of its own")
    for name in names:
        with sessions.simulator(name) as (port, http_port):
            own = max(count / 2 / sessions.ours(name, port, count, window, CONTENT) for _ in range(repeat))
            print(f"{name:8} {'ours':18}{own:>12,.0f}")
            wanted = count * repeat
            for peer in others:
                if name not in peer.protocols:
                    continue
                share = count // (1 if peer.compiled else 4)
                asked = {
                    "do": "pump", "protocol": name, "port": port, "account": sessions.ACCOUNT, "window": window,
                    "password": sessions.PASSWORD, "count": share, "content": CONTENT.hex(),
                    "message": foreign.message_for_java(name),
                }  # fmt: skip
                rate = max(share / 2 / peer.ask(asked)["seconds"] for _ in range(repeat))
                wanted += share * repeat
                print(f"{'':8} {peer.name:18}{rate:>12,.0f}   ours {own / rate:.1f}x", flush=True)
            # A client that lost some would look fast.
            assert foreign.waited(lambda: sessions.counted(http_port) == wanted, 5), sessions.counted(http_port)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench carrier-codec", description=__doc__)
    parser.add_argument("--protocol", action="append", choices=NAMES)
    parser.add_argument("--part", action="append", choices=["codecs", "engines", "rates"])
    parser.add_argument("--messages", type=int, default=40_000)
    parser.add_argument("--window", type=int, default=50)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each session, of which the best counts")
    parser.add_argument(
        "--peer", action="append", help="only these foreign implementations, by the beginning of a name"
    )
    parser.add_argument("--alone", action="store_true", help="without the foreign implementations")
    options = parser.parse_args()
    names = options.protocol or list(NAMES)
    parts = options.part or ["codecs", "engines", "rates"]
    found = [] if options.alone or parts == ["engines"] else foreign.peers()
    for peer in found:
        if peer.missing:
            print(f"without {peer.name}: {peer.missing}")
    wanted = tuple(options.peer or [""])
    others = [peer for peer in found if not peer.missing and peer.name.startswith(wanted)]
    if "codecs" in parts:
        codecs(names, others)
    if "engines" in parts:
        engines(names)
    if "rates" in parts:
        rates(names, others, options.messages, options.window, options.repeat)


if __name__ == "__main__":
    main()
