"""What the carrier answers to requests other than binds, submits and deliveries, by the PDU's own name.  Pure.

Statistics are the account's own counters; cancelling always comes too late, because an accepted message is delivered.
"""

from __future__ import annotations

from collections.abc import Mapping

_QUERIES = {"CMPP_QUERY": ("Time", "Query_Type", "Query_Code"), "Query": ("QueryTime", "QueryType", "QueryCode")}
_TOO_LATE = {"cancel_sm": 0x11, "replace_sm": 0x13}
_RESPONSES = {"CMPP_QUERY": "CMPP_QUERY_RESP", "Query": "Query_Resp"}
"""CMPP and SMGP ask for the same statistics and name their questions differently."""


def answer_to(name: str, asked: Mapping[str, object], counts: Mapping[str, int]) -> dict[str, object] | None:
    """Return the fields of the answer, under the standard's names; None for what a plain status answers."""
    if name in _QUERIES:
        repeated = {field: asked[field] for field in _QUERIES[name]}
        return {"command": _RESPONSES[name], **repeated, **_statistics(counts)}
    if name == "CMPP_CANCEL":
        return {"command": "CMPP_CANCEL_RESP", "Success_Id": 1}
    if name in _TOO_LATE:
        return {"command": f"{name}_resp", "command_status": _TOO_LATE[name]}
    if name == "query_sm":
        # The body stands there also beside an error: only the answers to messages may leave it out (SMPP 4.8.2).
        unknown = {"message_id": asked["message_id"], "final_date": "", "message_state": 7, "error_code": 0}
        return {"command": "query_sm_resp", "command_status": 0x67, **unknown}
    if name == "SGIP_TRACE":
        return {"command": "SGIP_TRACE_RESP", "Node": []}
    if name == "SGIP_CHECKUSER":
        return {"command": "SGIP_CHECKUSER_RESP", "Result": 0, "Status": 0, "Reserve": ""}
    return None


def _statistics(counts: Mapping[str, int]) -> dict[str, object]:
    """Messages and users sent to, delivered, waiting, failed; then the same of replies."""
    return {
        "MT_TLMsg": counts["accepted"],
        "MT_Tlusr": counts["accepted"],
        "MT_Scs": counts["receipts_answered"],
        "MT_WT": max(0, counts["receipts_waiting"]),
        "MT_FL": counts["rejected"],
        "MO_Scs": counts["mo_answered"],
        "MO_WT": max(0, counts["mo_sent"] - counts["mo_answered"]),
        "MO_FL": 0,
    }
