"""Carrier codecs and sessions: microseconds a message, best of many short rounds, one line a dialect.

``python bench/carrier_codec.py``. The codec column is submit written, its answer read, a report read and answered: what a client
spends on a message and its report. The session columns are both sides of the same through the engine, in batches of 50.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

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


def main() -> None:
    for name in NAMES:
        made = dialect(name)
        figures = codec(made) | session(made)
        print(f"{name:8}" + "".join(f"  {key} {value:.2f}" for key, value in figures.items()) + "  us")


if __name__ == "__main__":
    main()
