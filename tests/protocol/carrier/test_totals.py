"""Total lengths as the reference states them: the tables are right when every PDU has the size the standards give."""

import pytest

from carrier.dialects import dialect
from carrier.errors import CarrierError

ONE = "13800000001"

TOTALS = [
    ("cmpp20", {"command": "CMPP_CONNECT"}, 39),
    ("cmpp30", {"command": "CMPP_CONNECT"}, 39),
    ("cmpp20", {"command": "CMPP_CONNECT_RESP"}, 30),
    ("cmpp30", {"command": "CMPP_CONNECT_RESP"}, 33),
    ("cmpp20", {"command": "CMPP_TERMINATE"}, 12),
    ("cmpp20", {"command": "CMPP_TERMINATE_RESP"}, 12),
    ("cmpp20", {"command": "CMPP_ACTIVE_TEST"}, 12),
    ("cmpp20", {"command": "CMPP_ACTIVE_TEST_RESP"}, 13),
    ("cmpp20", {"command": "CMPP_SUBMIT", "Dest_terminal_Id": [ONE] * 3, "Msg_Content": "00" * 5}, 138 + 63 + 5),
    ("cmpp30", {"command": "CMPP_SUBMIT", "Dest_terminal_Id": [ONE] * 3, "Msg_Content": "00" * 5}, 163 + 96 + 5),
    ("cmpp20", {"command": "CMPP_SUBMIT_RESP"}, 21),
    ("cmpp30", {"command": "CMPP_SUBMIT_RESP"}, 24),
    ("cmpp20", {"command": "CMPP_DELIVER", "Msg_Content": "00" * 7}, 85 + 7),
    ("cmpp30", {"command": "CMPP_DELIVER", "Msg_Content": "00" * 7}, 109 + 7),
    ("cmpp20", {"command": "CMPP_DELIVER_RESP"}, 21),
    ("cmpp30", {"command": "CMPP_DELIVER_RESP"}, 24),
    ("cmpp20", {"command": "CMPP_QUERY"}, 39),
    ("cmpp20", {"command": "CMPP_QUERY_RESP"}, 63),
    ("cmpp20", {"command": "CMPP_CANCEL"}, 20),
    ("cmpp20", {"command": "CMPP_CANCEL_RESP"}, 13),
    ("cmpp30", {"command": "CMPP_CANCEL_RESP"}, 16),
    ("cmpp20", {"command": "CMPP_FWD_RESP"}, 23),
    ("cmpp30", {"command": "CMPP_FWD_RESP"}, 26),
    ("cmpp30", {"command": "CMPP_MT_ROUTE"}, 39),
    ("cmpp30", {"command": "CMPP_MT_ROUTE_RESP"}, 77),
    ("cmpp30", {"command": "CMPP_MO_ROUTE"}, 53),
    ("cmpp30", {"command": "CMPP_MO_ROUTE_RESP"}, 90),
    ("cmpp30", {"command": "CMPP_GET_MT_ROUTE", "Last_route_Id": -1}, 26),
    ("cmpp30", {"command": "CMPP_GET_MO_ROUTE"}, 26),
    ("cmpp30", {"command": "CMPP_GET_MT_ROUTE_RESP"}, 85),
    ("cmpp30", {"command": "CMPP_GET_MO_ROUTE_RESP"}, 108),
    ("cmpp30", {"command": "CMPP_MT_ROUTE_UPDATE"}, 63),
    ("cmpp30", {"command": "CMPP_MO_ROUTE_UPDATE"}, 86),
    ("cmpp30", {"command": "CMPP_MT_ROUTE_UPDATE_RESP"}, 31),
    ("cmpp30", {"command": "CMPP_MO_ROUTE_UPDATE_RESP"}, 31),
    ("cmpp30", {"command": "CMPP_PUSH_MT_ROUTE_UPDATE"}, 77),
    ("cmpp30", {"command": "CMPP_PUSH_MO_ROUTE_UPDATE"}, 100),
    ("cmpp30", {"command": "CMPP_PUSH_MO_ROUTE_UPDATE_RESP"}, 13),
    ("sgip12", {"command": "SGIP_BIND"}, 61),
    ("sgip12", {"command": "SGIP_BIND_RESP"}, 29),
    ("sgip12", {"command": "SGIP_SUBMIT", "UserNumber": [ONE] * 2, "MessageContent": "00" * 9}, 143 + 42 + 9),
    ("sgip12", {"command": "SGIP_SUBMIT_RESP"}, 29),
    ("sgip12", {"command": "SGIP_DELIVER", "MessageContent": "00" * 9}, 77 + 9),
    ("sgip12", {"command": "SGIP_DELIVER_RESP"}, 29),
    ("sgip12", {"command": "SGIP_REPORT"}, 64),
    ("sgip12", {"command": "SGIP_REPORT_RESP"}, 29),
    ("sgip12", {"command": "SGIP_USERRPT"}, 71),
    ("sgip12", {"command": "SGIP_USERRPT_RESP"}, 29),
    ("sgip12", {"command": "SGIP_TRACE"}, 61),
    ("sgip12", {"command": "SGIP_UNBIND"}, 20),
    ("sgip12", {"command": "SGIP_UNBIND_RESP"}, 20),
    ("smgp30", {"command": "Login"}, 42),
    ("smgp30", {"command": "Login_Resp"}, 33),
    ("smgp30", {"command": "Submit", "DestTermID": [ONE] * 2, "MsgContent": "00" * 9}, 126 + 42 + 9),
    ("smgp30", {"command": "Submit", "DestTermID": [ONE], "TP_udhi": 1, "PkTotal": 2}, 126 + 21 + 10),
    ("smgp30", {"command": "Submit_Resp"}, 26),
    ("smgp30", {"command": "Deliver", "MsgContent": "00" * 9}, 89 + 9),
    ("smgp30", {"command": "Deliver_Resp"}, 26),
    ("smgp30", {"command": "Active_Test"}, 12),
    ("smgp30", {"command": "Active_Test_Resp"}, 12),
    ("smgp30", {"command": "Exit_Resp"}, 12),
    ("smgp30", {"command": "Query"}, 31),
    ("smgp30", {"command": "Query_Resp"}, 71),
    ("smpp34", {"command": "enquire_link"}, 16),
    ("smpp34", {"command": "unbind_resp"}, 16),
    ("smpp34", {"command": "generic_nack"}, 16),
    ("smpp34", {"command": "deliver_sm_resp"}, 17),
    ("smpp34", {"command": "submit_sm_resp", "command_status": 0x58}, 16),
]


@pytest.mark.parametrize(("name", "fields", "total"), TOTALS)
def test_the_total_is_the_standards(name, fields, total):
    made = dialect(name)
    frame = made.encode(fields)
    assert len(frame) == total
    assert made.encode(made.decode(frame)) == frame


@pytest.mark.parametrize(
    ("name", "hexadecimal"),
    [
        ("cmpp20", "0000000c 80000008 00000001"),  # ACTIVE_TEST_RESP without its octet
        ("cmpp30", "0000000c 80000008 00000001"),
        ("smgp30", "0000000d 80000004 00000001 00"),  # Active_Test_Resp with one
        ("smpp34", "00000010 80000005 00000000 00000001"),  # deliver_sm_resp without message_id
        ("smpp34", "00000010 80000004 00000058 00000001"),
        ("cmpp20", "00000021 80000001 00000001 00000000" + "00" * 16 + "30"),  # 2.0 asked, 3.0 answered
        ("cmpp30", "00000015 80000004 00000001 0000000000000001 00"),
    ],
)
def test_what_peers_send_otherwise_is_read_and_given_back(name, hexadecimal):
    made, frame = dialect(name), bytes.fromhex(hexadecimal)
    assert made.encode(made.decode(frame)) == frame


REFUSED = [
    ("smpp34", {"command": "submit_sm", "nonsense": 1}),
    ("smpp34", {"command": "submit_sm", "short_message": "zz"}),
    ("smpp34", {"command": "submit_sm", "short_message": 5}),
    ("smpp34", {"command": "submit_sm", "short_message": "00" * 255}),
    ("smpp34", {"command": "submit_sm", "short_message": "00", "sm_length": 2}),
    ("smpp34", {"command": "submit_sm", "source_addr": "1" * 21}),
    ("smpp34", {"command": "submit_sm", "source_addr": 5}),
    ("smpp34", {"command": "submit_sm", "source_addr": "a\0b"}),
    ("smpp34", {"command": "submit_sm", "source_addr": "号"}),
    ("smpp34", {"command": "submit_sm", "validity_period": "12"}),
    ("smpp34", {"command": "submit_sm", "esm_class": 256}),
    ("smpp34", {"command": "submit_sm", "esm_class": True}),
    ("smpp34", {"command": "submit_sm", "command_length": 5}),
    ("smpp34", {"command": "submit_sm", "command_id": 5}),
    ("smpp34", {"command": "nothing"}),
    ("smpp34", {"command": 4}),
    ("smpp34", {"command_id": 0x99}),
    ("smpp34", {}),
    ("smpp34", {"command": "submit_sm", "0x0424": "00"}),
    ("smpp34", {"command": "submit_sm", "0xzzzz": "00"}),
    ("smpp34", {"command": "submit_sm", "source_port": 65536}),
    ("smpp34", {"command": "submit_sm", "callback_num": "0011"}),
    ("smpp34", {"command": "submit_sm", "source_port": "hex:" + "00" * 65536}),
    ("smpp34", {"command": "submit_sm", "message_payload": "00" * 65000, "0x1401": "00" * 65000}),
    ("smpp34", {"command": "submit_multi", "dest_address": [{"dest_flag": 3}]}),
    ("smpp34", {"command": "submit_multi", "dest_address": [{}]}),
    ("smpp34", {"command": "submit_multi", "dest_address": ["x"]}),
    ("smpp34", {"command": "submit_multi", "dest_address": "x"}),
    ("smpp34", {"command": "submit_multi", "dest_address": [{"dest_flag": 2, "dl_name": "a", "extra": 1}]}),
    ("smpp34", {"command": "submit_multi", "dest_address": [], "number_of_dests": 4}),
    ("cmpp20", {"command": "CMPP_SUBMIT"}),
    ("cmpp20", {"command": "CMPP_SUBMIT", "Dest_terminal_Id": [ONE] * 100}),
    ("cmpp20", {"command": "CMPP_CONNECT", "AuthenticatorSource": "00"}),
    ("cmpp20", {"command": "CMPP_GET_MO_ROUTE"}),
]


@pytest.mark.parametrize(("name", "fields"), REFUSED)
def test_what_the_standard_does_not_allow_is_not_written(name, fields):
    with pytest.raises(CarrierError) as caught:
        dialect(name).encode(fields)
    assert caught.value.offset >= 0
    assert str(caught.value.offset) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "hexadecimal", "offset"),
    [
        ("smpp34", "", 0),
        ("smpp34", "00000010 00000004", 8),
        ("smpp34", "0000000f" + "00" * 12, 0),
        ("smpp34", "00000010 00000099 00000000 00000001", 4),
        ("smpp34", "00000010 00000015 00000000 00000001 ff", 16),
        ("smpp34", "00000011 00000015 00000000 00000001 ff", 16),
        ("smpp34", "00000013 80000004 00000000 00000001 414243", 16),  # no NUL
        ("smpp34", "00000014 80000004 00000000 00000001 00001e00", 17),  # stray octets
        ("smpp34", "00000016 80000004 00000000 00000001 00001e000241", 21),  # parameter runs past the end
        ("smpp34", "0000001a 00000021 00000000 00000001 00 0000 00 02 01 0000 00 09", 25),  # dest_flag 9
    ],
)
def test_the_offset_says_where(name, hexadecimal, offset):
    with pytest.raises(CarrierError) as caught:
        dialect(name).decode(bytes.fromhex(hexadecimal))
    assert caught.value.offset == offset


def test_repeated_and_odd_parameters_keep_their_octets():
    made = dialect("smpp34")
    body = "00" * 17
    tail = (
        "0381000401000031" * 2
        + "020a00010f"
        + "001e000341424300"[:14]
        + "020b0002ffff"
        + "001d000568656c6c6f"
        + "140100020102"
    )
    tail += "0381000400000032" + "001d0003410042"
    frame = bytes.fromhex(body + tail)
    frame = (16 + len(frame)).to_bytes(4, "big") + bytes.fromhex("000000040000000000000001") + frame
    fields = made.decode(frame)
    assert fields["callback_num"] == ["01000031", "01000031", "00000032"]
    assert fields["source_port"] == "hex:0f"
    assert fields["receipted_message_id"] == "hex:414243"
    assert fields["destination_port"] == 65535
    assert fields["additional_status_info_text"] == ["hex:68656c6c6f", "hex:410042"]
    assert fields["0x1401"] == "0102"
    assert made.decode(made.encode(fields)) == fields
