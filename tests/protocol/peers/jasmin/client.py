"""Jasmin's own SMPP client as a business system: binds, submits what it is told, tells what comes. JSON lines."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading

from jasmin.protocols.smpp.configs import SMPPClientConfig
from jasmin.protocols.smpp.factory import SMPPClientFactory
from jasmin.protocols.smpp.operations import SMPPOperationFactory
from smpp.pdu.operations import CancelSM, QuerySM
from smpp.pdu.pdu_types import AddrTon, EsmClassType, RegisteredDelivery, RegisteredDeliveryReceipt
from twisted.internet import reactor


def say(**event: object) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def received(smpp, pdu) -> None:
    params = pdu.params
    receipt = params["esm_class"].type == EsmClassType.SMSC_DELIVERY_RECEIPT
    content = params["short_message"]
    say(
        event="receipt" if receipt else "mo",
        source=params["source_addr"].decode(),
        destination=params["destination_addr"].decode(),
        text=content.decode("latin-1" if receipt else "utf-16-be"),
        id=(params.get("receipted_message_id") or b"").decode(),
    )


logging.disable(logging.CRITICAL)
config = SMPPClientConfig(
    id="peer",
    host="127.0.0.1",
    port=int(os.environ["PEER_PORT"]),
    username=os.environ["PEER_ACCOUNT"],
    password=os.environ["PEER_PASSWORD"],
    enquireLinkTimerSecs=1,
    reconnectOnConnectionFailure=False,
    reconnectOnConnectionLoss=False,
    log_file="/dev/null",
    source_addr_ton=AddrTon.INTERNATIONAL,
)
factory = SMPPClientFactory(config, msgHandler=received)
operations = SMPPOperationFactory(config, long_content_max_parts=9, long_content_split="udh")


def answered(result) -> None:
    parts = []
    pdu = result.request
    response = result.response
    params = {name: str(value) for name, value in response.params.items() if value is not None}
    while pdu is not None:
        parts.append(len(pdu.params.get("short_message") or b""))
        pdu = getattr(pdu, "nextPdu", None)
    name = str(result.request.commandId.name)
    message_id = (response.params.get("message_id") or b"").decode()
    say(event="answered", command=name, status=response.status.name, id=message_id, params=params, parts=parts)


def refused(failure) -> None:
    response = getattr(failure.value, "response", None)
    say(event="refused", status=response.status.name if response else repr(failure.value))


def obey(order: dict) -> None:
    smpp = factory.smpp
    if order["do"] == "submit":
        receipt = RegisteredDelivery(RegisteredDeliveryReceipt.SMSC_DELIVERY_RECEIPT_REQUESTED)
        pdu = operations.SubmitSM(
            order["text"].encode("utf-16-be"),
            8,
            source_addr=order["source"].encode(),
            destination_addr=order["destination"].encode(),
            registered_delivery=receipt,
        )
    elif order["do"] == "unbind":
        smpp.unbindAndDisconnect().addCallback(lambda _: say(event="unbound"))
        return
    else:
        common = {"message_id": order["id"].encode(), "source_addr": order["source"].encode()}
        pdu = {
            "query": lambda: QuerySM(**common),
            "cancel": lambda: CancelSM(destination_addr=order["destination"].encode(), **common),
        }[order["do"]]()
    smpp.sendDataRequest(pdu).addCallbacks(answered, refused)


def orders() -> None:
    for line in sys.stdin:
        reactor.callFromThread(obey, json.loads(line))
    reactor.callFromThread(reactor.stop)


factory.connectAndBind().addCallbacks(lambda _: say(event="bound"), refused)
factory.getExitDeferred().addCallback(lambda _: say(event="ended"))
threading.Thread(target=orders, daemon=True).start()
reactor.run()
