"""PDUs that no foreign peer speaks, assembled here octet by octet from the reference, asked and answered in both roles.

CMPP_FWD and routes between gateways, SGIP_TRACE, USERRPT and CHECKUSER, Query and Forward of SMGP. The tables of the
dialects are not used to write them.
"""

import pytest

from carrier.dialect import Credentials
from carrier.dialects import dialect
from carrier.events import Bound, Replied, RequestReceived
from carrier.model import Outcome, Role
from carrier.session import Session, SessionConfig

ID = 0x7D36DEC027750102
RAW_ID = bytes.fromhex("01006111231230000001")
CONTENT = "您好".encode("utf-16-be")


def s(text, size):
    """``str[n]``: left-aligned, NUL padded."""
    return text.encode().ljust(size, b"\0")


def u8(value):
    return value.to_bytes(1, "big")


def u32(*values):
    return b"".join(value.to_bytes(4, "big") for value in values)


def u64(value):
    return value.to_bytes(8, "big")


def forward(version):
    """2.18; what only 3.0 has stands behind ``new``."""

    def new(octets):
        return octets if version == 3 else b""

    return b"".join(
        (
            *(s("010101", 6), s("010201", 6), u8(2), u8(0), u64(ID), u8(1), u8(1), u8(1), u8(3), s("help", 10), u8(2)),
            *(
                s("13800000001", 21),
                new(s("pseudo-1", 32)),
                new(u8(1)),
                u8(0),
                u8(0),
                u8(8),
                s("901234", 6),
                s("01", 2),
            ),
            *(
                s("000010", 6),
                s("300102030405032+", 17),
                s("", 17),
                s("10690001", 21),
                new(s("pseudo-2", 32)),
                new(u8(0)),
            ),
            *(new(u8(1)), u8(1), s("13800000002", 21), new(s("pseudo-3", 32)), new(u8(1)), u8(len(CONTENT)), CONTENT),
            s("link", 20) if version == 3 else s("", 8),
        )
    )


HOPS = b"".join(
    u8(result) + s(node, 6) + s("261123080000", 16) + s("261123080001", 16) + s("", 8)
    for result, node in ((0, "100101"), (1, "200201"))
)
COUNTS = u32(*range(1, 9))
SMGP_FORWARD = b"".join(
    (
        *(RAW_ID, s("010061", 6), s("020061", 6), s("", 6), u8(6), u8(1), u8(2), s("help", 10), s("00", 2), s("0", 6)),
        *(s("0", 6), u8(8), s("", 17), s("", 17), s("10690001", 21), s("13300000001", 21), s("", 21)),
        *(u8(len(CONTENT)), CONTENT, s("", 8), bytes.fromhex("0002 0001 01")),
    )
)

VECTORS = [
    ("cmpp20", 9, forward(2), {"command": "CMPP_FWD", "Msg_Id": ID, "Dest_Id": ["13800000002"], "Msg_Fwd_Type": 0}),
    ("cmpp30", 9, forward(3), {"command": "CMPP_FWD", "Src_Pseudo": "pseudo-2", "Dest_Pseudo": "pseudo-3"}),
    ("cmpp20", 0x80000009, u64(ID) + u8(1) + u8(1) + u8(9), {"command": "CMPP_FWD_RESP", "Result": 9}),
    ("cmpp30", 0x80000009, u64(ID) + u8(1) + u8(1) + u32(9), {"command": "CMPP_FWD_RESP", "Result": 9}),
    ("cmpp20", 0x10, s("010101", 6) + s("13800000001", 21), {"command": "CMPP_MT_ROUTE", "Terminal_Id": "13800000001"}),
    ("cmpp30", 0x17, s("010101", 6) + s("MO", 4) + b"\xff" * 4, {"command": "CMPP_GET_MO_ROUTE", "Last_route_Id": -1}),
    ("sgip12", 0x1000, u32(3, 4, 5) + s("8613800000001", 21) + s("", 8), {"command": "SGIP_TRACE"}),
    ("sgip12", 0x80001000, u8(2) + HOPS, {"command": "SGIP_TRACE_RESP", "Count": 2}),
    ("sgip12", 0x11, s("10690001", 21) + s("8613000000001", 21) + u8(1) + s("", 8), {"UserCondition": 1}),
    ("sgip12", 0x10, s("smg", 16) + s("secret", 16) + s("8613000000001", 21) + s("", 8), {"UserName": "smg"}),
    ("sgip12", 0x80000010, u8(0) + u8(2) + s("", 8), {"command": "SGIP_CHECKUSER_RESP", "Status": 2}),
    ("smgp30", 7, s("20261123", 8) + u8(1) + s("help", 10), {"command": "Query", "QueryCode": "help"}),
    ("smgp30", 0x80000007, s("20261123", 8) + u8(1) + s("help", 10) + COUNTS + s("", 8), {"MT_TLMsg": 1, "MO_FL": 8}),
    ("smgp30", 5, SMGP_FORWARD, {"command": "Forward", "MsgID": RAW_ID.hex(), "TP_udhi": 1, "ReportFlag": 1}),
    ("smgp30", 0x80000005, RAW_ID + u32(45), {"command": "Forward_Resp", "Status": 45}),
]


def framed(made, number, body):
    head = u32(made.header_size + len(body), number)
    return head + bytes(made.header_size - 9) + b"\7" + body


@pytest.mark.parametrize(("name", "number", "body", "wanted"), VECTORS, ids=lambda value: str(value)[:12])
def test_the_reference_reads_and_is_given_back(name, number, body, wanted):
    made = dialect(name)
    frame = framed(made, number, body)
    shown = made.decode(frame)
    assert {key: shown[key] for key in wanted} == wanted
    assert made.encode(shown) == frame


def test_the_nodes_of_a_trace_are_told_apart():
    made = dialect("sgip12")
    first, second = made.decode(framed(made, 0x80001000, u8(2) + HOPS))["Node"]
    assert (first["Result"], first["NodeId"], first["SendTime"]) == (0, "100101", "261123080001")
    assert (second["Result"], second["NodeId"]) == (1, "200201")


REQUESTS = [
    (
        "cmpp20",
        {"command": "CMPP_FWD", "Dest_Id": ["138"]},
        {"command": "CMPP_FWD_RESP", "Result": 8},
        Outcome.THROTTLED,
    ),
    ("cmpp30", {"command": "CMPP_FWD", "Dest_Id": ["138"]}, {"command": "CMPP_FWD_RESP", "Result": 0}, Outcome.OK),
    ("cmpp30", {"command": "CMPP_MO_ROUTE"}, {"command": "CMPP_MO_ROUTE_RESP", "Result": 1}, Outcome.PERMANENT),
    ("sgip12", {"command": "SGIP_TRACE"}, {"command": "SGIP_TRACE_RESP", "Node": []}, Outcome.OK),
    ("sgip12", {"command": "SGIP_USERRPT"}, {"command": "SGIP_USERRPT_RESP", "Result": 0}, Outcome.OK),
    ("sgip12", {"command": "SGIP_CHECKUSER"}, {"command": "SGIP_CHECKUSER_RESP", "Status": 1}, Outcome.OK),
    ("smgp30", {"command": "Query"}, {"command": "Query_Resp", "MT_Scs": 4}, Outcome.OK),
    ("smgp30", {"command": "Forward"}, {"command": "Forward_Resp", "Status": 1}, Outcome.TEMPORARY),
]


@pytest.mark.parametrize("asks", list(Role))
@pytest.mark.parametrize(("name", "ask", "reply", "outcome"), REQUESTS)
def test_either_side_asks_and_the_other_answers(name, ask, reply, outcome, asks):
    made = dialect(name)
    client = Session(made, Role.CLIENT, SessionConfig(Credentials("901234", "secret")), 0.0, wall=1.8e9)
    server = Session(made, Role.SERVER, SessionConfig(), 0.0, wall=1.8e9)
    client.start(0.0)
    server.receive_data(client.bytes_to_send(), 0.0)
    server.check_bind("secret", 0.0)
    server.answer_bind(None, 0.0)
    (bound,) = client.receive_data(server.bytes_to_send(), 0.0)
    assert isinstance(bound, Bound)
    asking, answering = (client, server) if asks is Role.CLIENT else (server, client)
    asking.request(1, ask, 0.0)
    (asked,) = answering.receive_data(asking.bytes_to_send(), 0.0)
    assert isinstance(asked, RequestReceived)
    assert asked.name == ask["command"]
    assert answering.answer_request(asked.handle, reply)
    (replied,) = asking.receive_data(answering.bytes_to_send(), 0.0)
    assert isinstance(replied, Replied)
    assert (replied.token, replied.outcome) == (1, outcome)
    assert {key: replied.fields[key] for key in reply} == reply
