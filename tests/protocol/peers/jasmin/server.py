"""The SMPP server Jasmin is built on (`smpp.twisted`) as a carrier: answers, sends receipts, and a reply when told."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading

from smpp.pdu.operations import CancelSM, DeliverSM, QuerySM, SubmitSM
from smpp.pdu.pdu_types import (
    AddrNpi,
    AddrTon,
    CommandStatus,
    DataCoding,
    DataCodingDefault,
    EsmClass,
    EsmClassMode,
    EsmClassType,
    MessageState,
)
from smpp.twisted.config import SMPPServerConfig
from smpp.twisted.protocol import DataHandlerResponse
from smpp.twisted.server import SMPPServerFactory
from twisted.cred import error
from twisted.internet import defer, reactor

logging.disable(logging.CRITICAL)
PASSWORD = os.environ["PEER_PASSWORD"]
state = {"serial": 0, "session": None}


def say(**event: object) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


class Doors:
    """Who may bind: one account."""

    def login(self, credentials, mind, interface):
        if (credentials.username, credentials.password) in {("gx", PASSWORD), (b"gx", PASSWORD.encode())}:
            return defer.succeed((interface, credentials.username, None))
        return defer.fail(error.UnauthorizedLogin())


def deliver(session, source: bytes, destination: bytes, content: bytes, coding, kind) -> None:
    pdu = DeliverSM(
        source_addr=source,
        source_addr_ton=AddrTon.INTERNATIONAL,
        source_addr_npi=AddrNpi.ISDN,
        destination_addr=destination,
        short_message=content,
        data_coding=DataCoding(schemeData=coding),
        esm_class=EsmClass(EsmClassMode.DEFAULT, kind),
    )
    session.sendDataRequest(pdu).addCallback(
        lambda result: say(event="acknowledged", status=result.response.status.name)
    )


def handle(account, session, pdu):
    state["session"] = session
    params = pdu.params
    if isinstance(pdu, SubmitSM):
        state["serial"] += 1
        message_id = f"{state['serial']:08x}"
        features = [feature.name for feature in params["esm_class"].gsmFeatures]
        say(
            event="submit",
            id=message_id,
            source=params["source_addr"].decode(),
            destination=params["destination_addr"].decode(),
            content=params["short_message"].hex(),
            features=features,
        )
        words = (
            f"id:{message_id} sub:001 dlvrd:001 submit date:2611230800 done date:2611230801 stat:DELIVRD err:000 text:"
        )
        reactor.callLater(
            0, deliver, session, params["destination_addr"], params["source_addr"], words.encode(),
            DataCodingDefault.SMSC_DEFAULT_ALPHABET, EsmClassType.SMSC_DELIVERY_RECEIPT,
        )  # fmt: skip
        return DataHandlerResponse(CommandStatus.ESME_ROK, message_id=message_id.encode())
    say(event=type(pdu).__name__, id=params["message_id"].decode(), source=params["source_addr"].decode())
    if isinstance(pdu, QuerySM):
        asked = params["message_id"]
        return DataHandlerResponse(
            CommandStatus.ESME_ROK,
            message_id=asked,
            final_date=None,
            message_state=MessageState.DELIVERED,
            error_code=7,
        )
    assert isinstance(pdu, CancelSM)
    return CommandStatus.ESME_ROK


def orders() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        assert order["do"] == "reply"
        reactor.callFromThread(
            deliver, state["session"], order["from"].encode(), order["to"].encode(), order["text"].encode("utf-16-be"),
            DataCodingDefault.UCS2, EsmClassType.DEFAULT,
        )  # fmt: skip
    reactor.callFromThread(reactor.stop)


config = SMPPServerConfig(
    msgHandler=handle, systems={b"gx": {"max_bindings": 2}, "gx": {"max_bindings": 2}}, enquireLinkTimerSecs=1
)
port = reactor.listenTCP(0, SMPPServerFactory(config, Doors()), interface="127.0.0.1")
reactor.callWhenRunning(lambda: say(event="listening", port=port.getHost().port))
threading.Thread(target=orders, daemon=True).start()
reactor.run()
