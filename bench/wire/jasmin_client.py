"""Jasmin's PDU library and its own SMPP client for the benchmarks; runs in Jasmin's environment, not in ours."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

from smpp.pdu.operations import SubmitSM
from smpp.pdu.pdu_encoding import PDUEncoder
from smpp.pdu.pdu_types import (
    DataCoding,
    DataCodingDefault,
    RegisteredDelivery,
    RegisteredDeliveryReceipt,
)


def best(work: Callable[[], object]) -> float:
    quickest = float("inf")
    for _ in range(15):
        start = time.perf_counter()
        for _ in range(50):
            work()
        quickest = min(quickest, time.perf_counter() - start)
    return quickest / 50 * 1e6


def message(content: bytes, report: bool) -> SubmitSM:
    receipt = (
        RegisteredDeliveryReceipt.SMSC_DELIVERY_RECEIPT_REQUESTED
        if report
        else RegisteredDeliveryReceipt.NO_SMSC_DELIVERY_RECEIPT_REQUESTED
    )
    return SubmitSM(
        5,
        source_addr=b"95598",
        destination_addr=b"13800000001",
        short_message=content,
        data_coding=DataCoding(schemeData=DataCodingDefault.UCS2),
        registered_delivery=RegisteredDelivery(receipt),
    )


def codec(order: dict[str, Any]) -> dict[str, float]:
    coder = PDUEncoder()
    submit, report = bytes.fromhex(order["submit"]), bytes.fromhex(order["report"])
    content = bytes.fromhex(order["content"])
    return {
        "submit": best(lambda: coder.encode(message(content, True))),
        "read submit": best(lambda: coder.decode(BytesIO(submit))),
        "report": best(lambda: coder.decode(BytesIO(report))),
    }


def pump(order: dict[str, Any]) -> None:
    """Submit through Jasmin's client, as many unanswered as the window allows; answers on standard output and ends."""
    from jasmin.protocols.smpp.configs import SMPPClientConfig
    from jasmin.protocols.smpp.factory import SMPPClientFactory
    from twisted.internet import reactor

    logging.disable(logging.CRITICAL)
    config = SMPPClientConfig(
        id="bench", host="127.0.0.1", port=order["port"], username=order["account"], password=order["password"],
        reconnectOnConnectionFailure=False, log_level=logging.CRITICAL, log_file="/dev/null",
    )  # fmt: skip
    content = bytes.fromhex(order["content"])
    state = {"left": order["count"], "unsent": order["count"], "begun": 0.0}
    factory = SMPPClientFactory(config)

    def submit() -> None:
        if state["unsent"]:
            state["unsent"] -= 1
            factory.smpp.sendDataRequest(message(content, False)).addCallback(answered)

    def answered(_: object) -> None:
        state["left"] -= 1
        if state["left"] == order["count"] // 2:  # the first half warms up
            state["begun"] = time.perf_counter()
        if state["left"]:
            submit()
        else:
            print(json.dumps({"seconds": time.perf_counter() - state["begun"]}), flush=True)
            reactor.stop()  # type: ignore[attr-defined]

    def bound(_: object) -> None:
        for _ in range(order["window"]):
            submit()

    factory.connectAndBind().addCallback(bound)
    reactor.run()  # type: ignore[attr-defined]


for line in sys.stdin:
    given = json.loads(line)
    if given["do"] == "codec":
        print(json.dumps(codec(given)), flush=True)
    else:
        pump(given)
        break
