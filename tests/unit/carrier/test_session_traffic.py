import pytest

from carrier.errors import NotBoundError, RejectedItemError, UsageError, WindowFullError
from carrier.events import (
    Answered,
    Bound,
    DeliverReceived,
    PeerError,
    Replied,
    ReportReceived,
    RequestReceived,
    SubmitReceived,
)
from carrier.model import BindMode, Mo, Outcome, Report, ReportState, Submit


def report(message_id, **fields):
    given = {"recipient": "13800000001", "sender": "95598", "submitted": "2601010101", "done": "2601010102"} | fields
    return Report(message_id, ReportState.DELIVERED, True, **given)


def test_a_message_goes_out_is_answered_reported_and_replied_to(protocol, pair_of, wall):
    pair = pair_of(protocol)
    pair.submit(11, content=b"hello", data_coding=0)
    (received,) = pair.to_server()
    assert isinstance(received, SubmitReceived)
    assert "13800000001" not in repr(received)
    assert "hello" not in repr(received)
    assert (received.submit.source, received.submit.content) == ("95598", b"hello")
    assert received.submit.destination.endswith("13800000001")
    message_id = pair.dialect.message_id(258, wall, received.frame)
    assert pair.server.answer(received.handle, 0, message_id)
    (answered,) = pair.to_client()
    assert isinstance(answered, Answered)
    assert (answered.token, answered.outcome, answered.message_id) == (11, Outcome.OK, message_id)
    assert pair.client.in_flight == []
    pair.server.deliver([(1, report(message_id)), (2, Mo("13800000001", "95598", b"TD"))], 0.0)
    told, replied = pair.to_client()
    assert isinstance(told, ReportReceived)
    assert (told.report.message_id, told.report.state, told.report.final) == (message_id, ReportState.DELIVERED, True)
    assert told.report.recipient.endswith("13800000001")
    assert told.report.raw
    assert isinstance(replied, DeliverReceived)
    assert (replied.mo.destination, replied.mo.content) == ("95598", b"TD")
    assert pair.client.bytes_to_send() == b""  # nothing is answered before the owner says so
    assert pair.client.unanswered == 2
    assert pair.client.acknowledge([told.handle, replied.handle]) == 2
    assert [(e.token, e.outcome) for e in pair.to_server()] == [(1, Outcome.OK), (2, Outcome.OK)]


def test_every_outcome_travels(protocol, pair_of):
    pair = pair_of(protocol)
    pair.submit(1, 2, 3, 4)
    handles = [event.handle for event in pair.to_server()]
    kinds = [Outcome.THROTTLED, Outcome.TEMPORARY, Outcome.PERMANENT, Outcome.SESSION]
    assert pair.server.answer_many([(h, k, "") for h, k in zip(handles, kinds, strict=True)]) == 4
    outcomes = [event.outcome for event in pair.to_client()]
    assert outcomes[:3] == kinds[:3]
    assert outcomes[3] in (Outcome.SESSION, Outcome.PERMANENT)  # CMPP has no status for it


def test_a_refused_delivery_is_temporary_for_the_carrier(protocol, pair_of):
    pair = pair_of(protocol)
    pair.server.deliver([(5, Mo("13800000001", "95598", b"x"))], 0.0)
    (event,) = pair.to_client()
    assert pair.client.answer(event.handle, Outcome.TEMPORARY)
    (answered,) = pair.to_server()
    assert answered.outcome in (Outcome.TEMPORARY, Outcome.THROTTLED)


def test_answers_may_come_in_any_order(pair_of):
    pair = pair_of()
    pair.submit(1, 2, 3)
    events = pair.to_server()
    pair.server.answer_many([(event.handle, 0, f"id{event.handle}") for event in reversed(events)])
    assert [event.token for event in pair.to_client()] == [3, 2, 1]


def test_the_window_is_never_exceeded(protocol, pair_of):
    pair = pair_of(protocol, window=3)
    assert pair.client.window_free == 3
    pair.submit(1, 2)
    with pytest.raises(WindowFullError):
        pair.submit(3, 4)
    assert pair.client.in_flight == [1, 2]
    pair.submit(3)
    assert pair.client.window_free == 0
    first = pair.to_server()[0]
    pair.server.answer(first.handle, 0, pair.dialect.message_id(1, 0.0, first.frame))
    pair.to_client()
    assert pair.client.window_free == 1


def test_one_item_that_cannot_be_written_takes_none(protocol, pair_of):
    pair = pair_of(protocol)
    good, bad = Submit("95598", "13800000001", b"x"), Submit("95598", "1" * 40, b"x")
    with pytest.raises(RejectedItemError) as caught:
        pair.client.submit([(1, good), (2, bad)], 0.0)
    assert caught.value.token == 2
    assert pair.client.in_flight == []
    assert pair.client.bytes_to_send() == b""
    pair.client.submit([(1, good)], 0.0)
    assert len(pair.to_server()) == 1


@pytest.mark.parametrize("bad", ["\0", "号"])
def test_text_the_wire_cannot_carry_is_the_callers_fault(protocol, pair_of, bad):
    pair = pair_of(protocol)
    with pytest.raises(RejectedItemError):
        pair.client.submit([(1, Submit("95598", bad, b"x"))], 0.0)


def test_nothing_is_sent_before_the_bind_or_in_the_wrong_mode(pair_of):
    pair = pair_of(bound=False)
    with pytest.raises(NotBoundError):
        pair.submit(1)
    receiver = pair_of(mode=BindMode.RECEIVER)
    with pytest.raises(NotBoundError):
        receiver.submit(1)
    transmitter = pair_of(mode=BindMode.TRANSMITTER)
    with pytest.raises(NotBoundError):
        transmitter.server.deliver([(1, Mo("1", "2", b""))], 0.0)


def test_a_submit_on_a_receiver_session_is_refused_by_the_server(pair_of):
    pair = pair_of(mode=BindMode.RECEIVER)
    frame = pair.dialect.submit(Submit("1", "2", b"x"), 9)
    (error,) = pair.server.receive_data(frame, 0.0)
    assert (type(error), error.code) == (PeerError, "wrong_mode")
    assert pair.dialect.decode(pair.server.bytes_to_send())["command_status"] == 4


def test_a_handle_is_answered_once(pair_of):
    pair = pair_of()
    pair.submit(1)
    (event,) = pair.to_server()
    assert pair.server.answer(event.handle, 0, "a")
    assert not pair.server.answer(event.handle, 0, "a")
    assert not pair.server.answer_request(event.handle, {"command": "submit_sm_resp"})
    assert pair.server.acknowledge([99]) == 0


def test_a_group_submit_arrives_whole(protocol, pair_of):
    pair = pair_of(protocol)
    pair.submit(1, more_destinations=("13800000002", "13800000003"))
    (event,) = pair.to_server()
    numbers = (event.submit.destination, *event.submit.more_destinations)
    assert [number[-11:] for number in numbers] == ["13800000001", "13800000002", "13800000003"]
    pair.server.answer(event.handle, 0, pair.dialect.message_id(1, 0.0, event.frame))
    (answered,) = pair.to_client()
    assert answered.outcome is Outcome.OK


def test_long_parts_and_their_flags_survive(protocol, pair_of):
    header = bytes.fromhex("050003a10302")
    pair = pair_of(protocol)
    pair.submit(
        1, content=header + b"x" * 100, udhi=True, part_total=3, part_number=2, data_coding=8, wants_report=False
    )
    (event,) = pair.to_server()
    got = event.submit
    assert (got.udhi, got.content[:6], got.data_coding, got.wants_report) == (True, header, 8, False)
    pair.server.deliver([(1, Mo("13800000001", "95598", header + b"y", udhi=True, data_coding=4, protocol_id=3))], 0.0)
    (event,) = pair.to_client()
    assert (event.mo.udhi, event.mo.content, event.mo.data_coding, event.mo.protocol_id) == (True, header + b"y", 4, 3)


def test_validity_schedule_and_priority_survive(protocol, pair_of):
    pair = pair_of(protocol)
    fields = {"validity": "300102030405032+", "schedule": "300102020405032+", "priority": 2, "service_type": "CMT"}
    pair.submit(1, **fields, protocol_id=1)
    (event,) = pair.to_server()
    assert {name: getattr(event.submit, name) for name in fields} == fields
    assert event.submit.protocol_id == 1


def test_a_query_is_asked_and_answered_by_fields(pair_of):
    pair = pair_of()
    pair.client.request(4, {"command": "query_sm", "message_id": "77", "source_addr": "95598"}, 0.0)
    (asked,) = pair.to_server()
    assert isinstance(asked, RequestReceived)
    assert (asked.name, asked.fields["message_id"]) == ("query_sm", "77")
    answer = {"command": "query_sm_resp", "message_id": "77", "message_state": 2}
    assert pair.server.answer_request(asked.handle, answer)
    (replied,) = pair.to_client()
    assert isinstance(replied, Replied)
    assert (replied.token, replied.outcome, replied.fields["message_state"]) == (4, Outcome.OK, 2)


def test_a_query_of_the_other_protocols(pair_of):
    for name, ask, reply in (
        ("cmpp20", {"command": "CMPP_QUERY", "Time": "20260101"}, {"command": "CMPP_QUERY_RESP", "MT_Scs": 9}),
        ("cmpp30", {"command": "CMPP_CANCEL", "Msg_Id": 5}, {"command": "CMPP_CANCEL_RESP", "Success_Id": 0}),
        ("smgp30", {"command": "Query", "QueryTime": "20260101"}, {"command": "Query_Resp", "MT_Scs": 9}),
        ("sgip12", {"command": "SGIP_TRACE", "UserNumber": "86138"}, {"command": "SGIP_TRACE_RESP", "Node": []}),
    ):
        pair = pair_of(name)
        pair.client.request(1, ask, 0.0)
        (asked,) = pair.to_server()
        with pytest.raises(Exception, match="answered by fields"):
            pair.server.answer(asked.handle)
        assert pair.server.answer_request(asked.handle, reply)
        (replied,) = pair.to_client()
        assert replied.outcome is Outcome.OK
        with pytest.raises(RejectedItemError):
            pair.client.request(2, {"command": "no such thing"}, 0.0)


def test_sequences_wrap_and_skip_what_is_still_in_flight(pair_of):
    pair = pair_of(window=10)
    pair.submit(1)
    pair.client._counter = pair.dialect.last_sequence - 1
    pair.submit(2, 3)  # the last number, then the first ones again: 1 is the bind's and free, 2 is in flight
    pair.submit(4)
    numbers = [pair.dialect.decode(e.frame)["sequence_number"] for e in pair.to_server()]
    assert numbers == [2, 0x7FFFFFFF, 1, 3]


def test_a_rebind_event_names_the_account(pair_of):
    pair = pair_of(bound=False)
    pair.client.start(0.0)
    pair.to_server()
    (bound,) = pair.server.answer_bind(None, 0.0)
    assert bound == Bound("901234", BindMode.TRANSCEIVER, 0x34, None, 0.0)


def test_a_status_alone_answers_what_has_no_fields(pair_of):
    """Cancelling and replacing are answered by a header only; a query's positive answer cannot do without its fields."""
    pair = pair_of("smpp34")
    for token, command in enumerate(("cancel_sm", "replace_sm"), 1):
        pair.client.request(token, {"command": command, "message_id": "1a"}, 0.0)
        (asked,) = pair.to_server()
        assert pair.server.answer(asked.handle, 0, "12ab")
        (replied,) = pair.to_client()
        assert (replied.outcome, replied.fields["command_length"]) == (Outcome.OK, 16)
    pair.client.request(3, {"command": "query_sm", "message_id": "1a"}, 0.0)
    (asked,) = pair.to_server()
    with pytest.raises(UsageError, match="answered by fields"):
        pair.server.answer(asked.handle)
    assert pair.server.answer(asked.handle, 0x67)
    (replied,) = pair.to_client()
    assert (replied.outcome, replied.fields["message_state"]) == (Outcome.PERMANENT, 7)
