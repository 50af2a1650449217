"""How sms-core phrases each protocol's PDUs: its class and property names beside the standard's, as one table row each.

Only for tests: everything a test says or expects of the Java peer goes through here, so that the tests read alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Fields = dict[str, Any]


@dataclass(frozen=True)
class Form:
    """One protocol in the peer's words."""

    protocol: str
    submit: str
    submit_answer: str
    status: str
    """The property that holds an answer's status."""
    answer_id: str
    """The property of a submit's answer that holds the message id."""
    deliver: str
    deliver_answer: str
    report: str
    report_answer: str
    unbind: str
    unbind_answer: str
    fill_submit: Callable[[str, str, Fields, bool], Fields]
    fill_mo: Callable[[str, str, Fields], Fields]
    fill_report: Callable[[str, str, str], Fields]
    """Message id, phone, port."""
    report_id: Callable[[Fields], str]
    report_words: Callable[[Fields], str]
    bind_answer: str
    keepalive: str = ""
    keepalive_answer: str = ""
    throttled: int = 0
    long_id: bool = True

    def text(self, text: str, coding: int) -> Fields:
        """A content for a setter that takes the library's own text message."""
        return {"text": text, "coding": coding, "family": self.protocol}


def _cmpp(protocol: str) -> Form:
    def submit(source: str, destination: str, text: Fields, report: bool) -> Fields:
        return {
            "SrcId": source,
            "DestterminalId": destination,
            "Msg": text,
            "RegisteredDelivery": int(report),
            "ServiceId": "help",
            "FeeterminalId": destination,
        }

    def reply(phone: str, port: str, text: Fields) -> Fields:
        return {"SrcterminalId": phone, "DestId": port, "Msg": text, "Serviceid": "help"}

    def report(message_id: str, phone: str, port: str) -> Fields:
        inner = {
            "pdu": "CmppReportRequestMessage",
            "MsgId": message_id,
            "Stat": "DELIVRD",
            "SubmitTime": "2611230301",
            "DoneTime": "2611230302",
            "DestterminalId": phone,
            "SmscSequence": 77,
        }
        return {"SrcterminalId": phone, "DestId": port, "ReportRequestMessage": inner}

    return Form(
        protocol,
        "CmppSubmitRequestMessage",
        "CmppSubmitResponseMessage",
        "Result",
        "MsgId",
        "CmppDeliverRequestMessage",
        "CmppDeliverResponseMessage",
        "CmppDeliverRequestMessage",
        "CmppDeliverResponseMessage",
        "CmppTerminateRequestMessage",
        "CmppTerminateResponseMessage",
        submit,
        reply,
        report,
        lambda fields: str(fields["ReportRequestMessage"]["MsgId"]),
        lambda fields: str(fields["ReportRequestMessage"]["Stat"]),
        "CmppConnectResponseMessage",
        "CmppActiveTestRequestMessage",
        "CmppActiveTestResponseMessage",
        throttled=8,
    )


def _sgip() -> Form:
    def submit(source: str, destination: str, text: Fields, report: bool) -> Fields:
        return {"Spnumber": source, "Usernumber": destination, "MsgContent": text, "Reportflag": 1 if report else 2}

    return Form(
        "sgip12",
        "SgipSubmitRequestMessage",
        "SgipSubmitResponseMessage",
        "Result",
        "SequenceNumber",
        "SgipDeliverRequestMessage",
        "SgipDeliverResponseMessage",
        "SgipReportRequestMessage",
        "SgipReportResponseMessage",
        "SgipUnbindRequestMessage",
        "SgipUnbindResponseMessage",
        submit,
        lambda phone, port, text: {"Usernumber": phone, "Spnumber": port, "MsgContent": text},
        lambda message_id, phone, _: {"SequenceId": message_id, "Usernumber": phone, "State": 0, "Errorcode": 0},
        lambda fields: str(fields["SequenceId"]),
        lambda fields: str(fields["State"]),
        "SgipBindResponseMessage",
        throttled=88,
    )


def _smgp() -> Form:
    def submit(source: str, destination: str, text: Fields, report: bool) -> Fields:
        return {"SrcTermId": source, "DestTermIdArray": destination, "MsgContent": text, "NeedReport": report}

    def report(message_id: str, phone: str, port: str) -> Fields:
        inner = {
            "pdu": "SMGPReportData",
            "MsgId": message_id,
            "Sub": "001",
            "Dlvrd": "001",
            "SubTime": "2611230301",
            "DoneTime": "2611230302",
            "Stat": "DELIVRD",
            "Err": "000",
            "Txt": "",
        }
        return {"SrcTermId": phone, "DestTermId": port, "Report": inner}

    return Form(
        "smgp30",
        "SMGPSubmitMessage",
        "SMGPSubmitRespMessage",
        "Status",
        "MsgId",
        "SMGPDeliverMessage",
        "SMGPDeliverRespMessage",
        "SMGPDeliverMessage",
        "SMGPDeliverRespMessage",
        "SMGPExitMessage",
        "SMGPExitRespMessage",
        submit,
        lambda phone, port, text: {"SrcTermId": phone, "DestTermId": port, "MsgContent": text},
        report,
        lambda fields: str(fields["Report"]["MsgId"]),
        lambda fields: str(fields["Report"]["Stat"]),
        "SMGPLoginRespMessage",
        "SMGPActiveTestMessage",
        "SMGPActiveTestRespMessage",
        throttled=75,
    )


def _smpp() -> Form:
    def address(number: str) -> Fields:
        return {"ton": 1, "npi": 1, "address": number}

    def submit(source: str, destination: str, text: Fields, report: bool) -> Fields:
        return {
            "SourceAddress": address(source),
            "DestAddress": address(destination),
            "SmsMsg": text,
            "RegisteredDelivery": int(report),
        }

    def reply(phone: str, port: str, text: Fields) -> Fields:
        return {"SourceAddress": address(phone), "DestAddress": address(port), "SmsMsg": text}

    def report(message_id: str, phone: str, port: str) -> Fields:
        return {
            "SourceAddress": address(phone),
            "DestAddress": address(port),
            "Id": message_id,
            "Sub": "001",
            "Dlvrd": "001",
            "Submit_date": "2611230301",
            "Done_date": "2611230302",
            "Stat": "DELIVRD",
            "Err": "000",
            "Text": "-",
        }

    return Form(
        "smpp34",
        "SubmitSm",
        "SubmitSmResp",
        "CommandStatus",
        "MessageId",
        "DeliverSm",
        "DeliverSmResp",
        "DeliverSmReceipt",
        "DeliverSmResp",
        "Unbind",
        "UnbindResp",
        submit,
        reply,
        report,
        lambda fields: str(fields["Id"]),
        lambda fields: str(fields["Stat"]),
        "BindTransceiverResp",
        "EnquireLink",
        "EnquireLinkResp",
        throttled=0x58,
    )


FORMS: dict[str, Form] = {form.protocol: form for form in (_cmpp("cmpp20"), _cmpp("cmpp30"), _sgip(), _smgp(), _smpp())}
