import pytest

from carrier.dialect import Credentials, Limits
from carrier.dialects import dialect
from carrier.errors import UsageError
from carrier.events import (
    BindInvited,
    BindRefused,
    BindRequested,
    Bound,
    Closed,
    CloseReason,
    NoticeReceived,
    PeerError,
    Resent,
    Unbound,
)
from carrier.model import BindMode, Mo, Outcome, Refusal, Role
from carrier.session import Session, SessionConfig
from carrier.states import State


def reasons(events):
    return [event.reason for event in events if isinstance(event, Closed)]


def test_a_wrong_secret_is_refused_on_both_sides(protocol, pair_of):
    pair = pair_of(protocol, bound=False)
    pair.client.start(0.0)
    pair.to_server()
    assert pair.server.check_bind("other", 0.0) is Refusal.CREDENTIALS
    assert reasons(pair.server.answer_bind(Refusal.CREDENTIALS, 0.0)) == [CloseReason.BIND_REFUSED]
    refused, closed = pair.to_client()
    assert isinstance(refused, BindRefused)
    assert refused.refusal is Refusal.CREDENTIALS
    assert closed.reason is CloseReason.BIND_REFUSED


@pytest.mark.parametrize("refusal", [Refusal.LIMIT, Refusal.VERSION, Refusal.TEMPORARY])
def test_every_refusal_travels(protocol, pair_of, refusal):
    pair = pair_of(protocol, bound=False)
    pair.client.start(0.0)
    pair.to_server()
    pair.server.answer_bind(refusal, 0.0)
    told = pair.to_client()[0].refusal
    assert told is refusal or (protocol.startswith("cmpp") and told is Refusal.LIMIT)  # CMPP has one code for both


def test_the_dialects_own_status_refuses_too(pair_of):
    pair = pair_of(bound=False)
    pair.client.start(0.0)
    pair.to_server()
    pair.server.answer_bind(0x0D, 0.0)
    refused, closed = pair.to_client()
    assert (refused.status, refused.refusal) == (0x0D, Refusal.TEMPORARY)
    assert closed.detail == "ESME_RBINDFAIL"


def test_a_nack_to_the_bind_refuses_it(pair_of):
    pair = pair_of(bound=False)
    pair.client.start(0.0)
    pair.client.bytes_to_send()
    events = pair.client.receive_data(pair.dialect.nack(1, 3), 0.0)
    assert events[0].refusal is Refusal.VERSION
    assert reasons(events) == [CloseReason.BIND_REFUSED]


def test_only_the_right_side_may_log_in(pair_of):
    pair = pair_of()
    with pytest.raises(UsageError):
        pair.client.start(0.0)
    with pytest.raises(UsageError):
        pair.server.start(0.0)
    with pytest.raises(UsageError):
        pair.server.answer_bind(None, 0.0)
    with pytest.raises(UsageError):
        pair.server.check_bind("secret", 0.0)
    with pytest.raises(UsageError):
        pair.client.invite({})


def test_credentials_that_cannot_be_written_are_the_callers_fault(protocol):
    config = SessionConfig(Credentials("far too long a name for any protocol", "secret"))
    session = Session(dialect(protocol), Role.CLIENT, config, 0.0, wall=0.0)
    with pytest.raises(UsageError, match="cannot be written"):
        session.start(0.0)


def test_the_secret_is_in_no_repr():
    assert "secret" not in repr(SessionConfig(Credentials("gx", "secret")))


def test_an_invited_client_binds(pair_of):
    pair = pair_of(bound=False)
    pair.server.invite({"command": "outbind", "system_id": "smsc", "password": "pw", "sequence_number": 1})
    assert pair.to_client() == [BindInvited("smsc", "pw")]
    pair.client.start(0.0)
    assert isinstance(pair.to_server()[0], BindRequested)


def test_a_server_waits_for_a_bind_only_so_long(protocol, pair_of):
    pair = pair_of(protocol, bound=False)
    deadline = pair.server.next_deadline()
    assert deadline == pair.limits.bind
    assert pair.server.handle_timer(deadline - 1) == []
    assert reasons(pair.server.handle_timer(deadline)) == [CloseReason.BIND_TIMEOUT]
    assert pair.server.next_deadline() is None
    assert pair.server.handle_timer(deadline) == []


def test_a_client_waits_for_the_bind_answer_only_so_long(pair_of):
    pair = pair_of(bound=False, response=7.0)
    assert pair.client.next_deadline() is None
    pair.client.start(3.0)
    assert pair.client.next_deadline() == 10.0
    assert reasons(pair.client.handle_timer(10.0)) == [CloseReason.BIND_TIMEOUT]


def test_silence_on_a_request_ends_the_session_with_its_tokens(pair_of):
    pair = pair_of(response=5.0, keepalive_idle=0.0)
    pair.submit(1, 2)
    assert pair.client.next_deadline() == 5.0
    assert pair.client.handle_timer(4.9) == []
    (closed,) = pair.client.handle_timer(5.0)
    assert (closed.reason, closed.unanswered) == (CloseReason.RESPONSE_TIMEOUT, (1, 2))
    assert pair.client.state is State.CLOSED
    assert pair.client.closed is closed
    assert pair.client.receive_data(b"anything", 6.0) == []


@pytest.mark.parametrize("name", ["cmpp20", "cmpp30", "sgip12", "smgp30"])
def test_silence_makes_the_others_send_again_under_the_same_sequence(name, pair_of):
    pair = pair_of(name, keepalive_idle=0.0, idle_close=0.0)
    wait = pair.limits.response
    pair.submit(1)
    first = pair.client.bytes_to_send()
    assert pair.client.handle_timer(wait) == [Resent((1,), wait)]
    assert pair.client.bytes_to_send() == first
    assert pair.client.handle_timer(2 * wait) == [Resent((1,), 2 * wait)]
    assert reasons(pair.client.handle_timer(3 * wait)) == [CloseReason.RESPONSE_TIMEOUT]


def test_a_repeated_request_is_answered_once_or_with_the_same_answer(pair_of, wall):
    pair = pair_of("cmpp20", response=10.0)
    pair.submit(1)
    frame = pair.client.bytes_to_send()
    (event,) = pair.server.receive_data(frame, 0.0)
    (again,) = pair.server.receive_data(frame, 1.0)
    assert (type(again), again.code) == (PeerError, "repeated_request")
    assert pair.server.bytes_to_send() == b""
    pair.server.answer(event.handle, 0, pair.dialect.message_id(1, wall, frame))
    answer = pair.server.bytes_to_send()
    assert [e.code for e in pair.server.receive_data(frame, 2.0)] == ["repeated_request"]
    assert pair.server.bytes_to_send() == answer


@pytest.mark.parametrize("name", ["cmpp20", "cmpp30", "sgip12", "smgp30"])
def test_a_throttled_request_sent_again_is_judged_again(pair_of, name, wall):
    pair = pair_of(name)
    pair.submit(1)
    frame = pair.client.bytes_to_send()
    (event,) = pair.server.receive_data(frame, 0.0)
    pair.server.answer(event.handle, Outcome.THROTTLED)
    pair.server.bytes_to_send()
    (event,) = pair.server.receive_data(frame, 1.0)
    pair.server.answer(event.handle, 0, pair.dialect.message_id(1, wall, frame))
    (answered,) = pair.to_client()
    assert answered.outcome is Outcome.OK


def test_a_duplicate_answer_to_a_repeated_request_is_uncertain(pair_of):
    pair = pair_of("cmpp20", response=10.0, keepalive_idle=0.0)
    pair.submit(1)
    frame = pair.client.bytes_to_send()
    pair.client.handle_timer(10.0)
    refusal = pair.dialect.refuse(4, pair.dialect.decode(frame)["Sequence_Id"], 3)
    (answered,) = pair.client.receive_data(refusal, 11.0)
    assert (answered.outcome, answered.attempts) == (Outcome.UNCERTAIN, 2)


def test_another_request_under_a_waiting_sequence_is_refused(pair_of, a_message):
    pair = pair_of("sgip12")
    first, other = (pair.dialect.submit(a_message(content=text), 77) for text in (b"a", b"b"))
    pair.server.receive_data(first, 0.0)
    (error,) = pair.server.receive_data(other, 0.0)
    assert error.code == "reused_sequence"
    assert pair.dialect.decode(pair.server.bytes_to_send())["Result"] == 9


def test_remembered_answers_are_bounded(pair_of, a_message):
    pair = pair_of("smgp30", peer_window=2)
    frames = [pair.dialect.submit(a_message(), sequence) for sequence in (1, 2, 3, 3)]
    for frame in frames[:3]:
        (event,) = pair.server.receive_data(frame, 0.0)
        pair.server.answer(event.handle)
    assert len(pair.server._inbox._answers) == 2
    (event,) = pair.server.receive_data(frames[0], 0.0)  # forgotten: taken as new
    assert not isinstance(event, PeerError)


def test_a_peer_over_its_window_is_told_to_slow_down(protocol, pair_of):
    pair = pair_of(protocol, peer_window=2)
    pair.submit(1, 2, 3)
    *_, error = pair.to_server()
    assert error.code == "window_exceeded"
    (answered,) = pair.to_client()
    assert (answered.token, answered.outcome) == (3, Outcome.THROTTLED)
    pair.server.deliver([(n, Mo("13800000001", "95598", b"x")) for n in (1, 2, 3)], 0.0)
    pair.to_client()
    (answered,) = pair.to_server()
    assert answered.outcome in (Outcome.TEMPORARY, Outcome.THROTTLED)


@pytest.mark.parametrize("name", ["smpp34", "cmpp20", "cmpp30", "smgp30"])
def test_an_idle_session_is_kept_alive(name, pair_of):
    pair = pair_of(name)
    idle = pair.limits.keepalive_idle
    assert pair.client.next_deadline() == idle
    assert pair.client.handle_timer(idle - 1) == []
    assert pair.client.handle_timer(idle) == []
    pair.now = idle + 1
    assert pair.to_server() == []
    assert pair.to_client() == []
    assert pair.client.next_deadline() == idle + 1 + idle


def test_a_silent_peer_is_given_up_after_the_last_try(pair_of):
    pair = pair_of("cmpp20")
    idle, wait = pair.limits.keepalive_idle, pair.limits.response
    pair.client.handle_timer(idle)
    assert pair.client.handle_timer(idle + wait - 1) == []
    assert pair.client.handle_timer(idle + wait) == []
    assert pair.client.handle_timer(idle + 2 * wait) == []
    assert len(pair.client.bytes_to_send()) == 3 * 12
    assert reasons(pair.client.handle_timer(idle + 3 * wait)) == [CloseReason.KEEPALIVE_TIMEOUT]


def test_an_idle_sgip_session_is_ended(pair_of):
    pair = pair_of("sgip12")
    assert reasons(pair.server.handle_timer(60.0)) == [CloseReason.IDLE]
    assert pair.client.handle_timer(60.0) == []
    assert pair.client.state is State.UNBINDING
    assert pair.dialect.decode(pair.client.bytes_to_send())["command"] == "SGIP_UNBIND"


def test_keep_alive_can_be_off(pair_of):
    pair = pair_of(keepalive_idle=0.0)
    assert pair.client.next_deadline() is None
    assert pair.client.handle_timer(1e9) == []


def test_unbind_waits_for_answers_both_ways(protocol, pair_of, wall):
    pair = pair_of(protocol)
    pair.submit(1)
    (event,) = pair.to_server()
    pair.server.deliver([(9, Mo("13800000001", "95598", b"x"))], 0.0)
    (delivered,) = pair.to_client()
    assert pair.client.unbind(0.0) == []
    assert pair.client.state is State.DRAINING
    assert pair.client.window_free == 0
    assert pair.client.bytes_to_send() == b""
    pair.server.answer(event.handle, 0, pair.dialect.message_id(1, wall, event.frame))
    pair.to_client()
    assert pair.client.state is State.DRAINING  # an answer of ours is still owed
    pair.client.acknowledge([delivered.handle])
    assert pair.client.next_deadline() == 0.0
    assert pair.client.handle_timer(0.0) == []
    assert pair.client.state is State.UNBINDING
    assert pair.client.unbind(0.0) == []
    answered, unbound, closed = pair.to_server()
    assert answered.token == 9
    assert isinstance(unbound, Unbound)
    assert closed.reason is CloseReason.PEER_UNBOUND
    assert reasons(pair.to_client()) == [CloseReason.UNBOUND]


def test_a_drain_ends_at_the_last_answer_received(pair_of):
    pair = pair_of()
    pair.submit(1)
    (event,) = pair.to_server()
    pair.client.unbind(0.0)
    pair.server.answer(event.handle, 0, "a")
    pair.to_client()
    assert pair.client.state is State.UNBINDING


def test_a_drain_is_not_waited_for_forever(pair_of):
    pair = pair_of(drain=5.0, response=8.0)
    pair.submit(1)
    pair.client.unbind(0.0)
    assert pair.client.next_deadline() == 5.0
    assert pair.client.handle_timer(5.0) == []
    assert pair.client.state is State.UNBINDING
    events = pair.client.handle_timer(13.0)
    assert reasons(events) == [CloseReason.UNBIND_TIMEOUT]
    assert events[0].unanswered == (1,)


def test_giving_up_before_the_bind(pair_of):
    pair = pair_of(bound=False)
    assert reasons(pair.client.unbind(0.0)) == [CloseReason.ABORTED]
    assert pair.client.unbind(0.0) == []


def test_abort_says_what_is_uncertain_and_writes_nothing_more(pair_of):
    pair = pair_of()
    pair.submit(1, 2)
    (closed,) = pair.client.abort("lease lost", 1.0)
    assert pair.client.bytes_to_send() == b""
    assert (closed.reason, closed.detail, closed.unanswered) == (CloseReason.ABORTED, "lease lost", (1, 2))
    assert pair.client.abort("again", 1.0) == []
    assert pair.client.receive_eof(1.0) == []
    assert pair.client.answer(1) is False
    assert pair.client.answer_request(1, {}) is False


def test_the_connection_ends(pair_of):
    pair = pair_of()
    pair.submit(4)
    (closed,) = pair.client.receive_eof(2.0)
    assert (closed.reason, closed.unanswered, closed.at) == (CloseReason.EOF, (4,), 2.0)


def test_traffic_before_the_bind_is_refused(protocol, pair_of, a_message):
    pair = pair_of(protocol, bound=False)
    (error,) = pair.server.receive_data(pair.dialect.submit(a_message(), 1), 0.0)
    assert error.code == "wrong_state"
    assert pair.server.bytes_to_send()


def test_a_second_bind_is_refused(protocol, pair_of):
    pair = pair_of(protocol)
    frame = pair.dialect.bind(Credentials("901234", "secret"), 50, 0.0)
    (error,) = pair.server.receive_data(frame, 0.0)
    assert error.code == "wrong_state"
    assert pair.dialect.read_bind_answer(pair.server.bytes_to_send()).status == pair.dialect.already_bound


def test_an_answer_to_nothing_is_named(protocol, pair_of, a_message):
    pair = pair_of(protocol)
    stray = pair.dialect.answer(pair.dialect.submit(a_message(), 999), 0, "")
    (error,) = pair.client.receive_data(stray, 0.0)
    assert error.code == "unknown_sequence"


def test_an_answer_of_another_command_is_named(pair_of):
    pair = pair_of()
    pair.client.request(1, {"command": "query_sm"}, 0.0)
    pair.submit(2)
    sequence = next(s for s, p in pair.client._in_flight.items() if p.token == 2)
    odd = pair.dialect.encode({"command": "cancel_sm_resp", "sequence_number": sequence})
    (error,) = pair.client.receive_data(odd, 0.0)
    assert error.code == "mismatched_answer"
    assert pair.client.in_flight == [1, 2]


def test_a_nack_answers_what_waits(pair_of):
    pair = pair_of()
    pair.submit(6)
    sequence = next(iter(pair.client._in_flight))
    (answered,) = pair.client.receive_data(pair.dialect.nack(sequence, 0x58), 0.0)
    assert (answered.token, answered.outcome) == (6, Outcome.THROTTLED)
    (error,) = pair.client.receive_data(pair.dialect.nack(0, 2), 0.0)
    assert (error.code, error.detail) == ("nack", "ESME_RINVCMDLEN")


def test_an_unknown_command_is_nacked_and_survived(pair_of):
    pair = pair_of()
    (error,) = pair.client.receive_data(bytes.fromhex("00000010000000990000000000000005"), 0.0)
    assert error.code == "unknown_command"
    assert pair.dialect.decode(pair.client.bytes_to_send()) == {
        "command": "generic_nack",
        "command_length": 16,
        "command_id": 0x80000000,
        "command_status": 3,
        "sequence_number": 5,
    }
    pair.client.receive_data(bytes.fromhex("00000010800000990000000000000005"), 0.0)
    assert pair.client.bytes_to_send() == b""


def test_a_malformed_request_is_answered_and_survived(pair_of, a_message):
    for name in ("smpp34", "cmpp20", "smgp30"):
        pair = pair_of(name)
        frame = bytearray(pair.dialect.submit(a_message(), 1)[:40])
        frame[:4] = len(frame).to_bytes(4, "big")
        (error,) = pair.server.receive_data(bytes(frame), 0.0)
        assert error.code == "malformed"
        (answered,) = pair.client.receive_data(pair.server.bytes_to_send(), 0.0)
        assert answered.code == "unknown_sequence"
        assert pair.server.state is State.BOUND


def test_a_malformed_request_ends_an_sgip_session(pair_of, a_message):
    pair = pair_of("sgip12")
    frame = bytearray(pair.dialect.submit(a_message(), 1)[:40])
    frame[:4] = len(frame).to_bytes(4, "big")
    events = pair.server.receive_data(bytes(frame), 0.0)
    assert events[0].code == "malformed"
    assert reasons(events) == [CloseReason.PROTOCOL]


def test_a_malformed_answer_leaves_the_request_waiting(pair_of):
    pair = pair_of("cmpp20")
    pair.submit(3)
    sequence = next(iter(pair.client._in_flight))
    (error,) = pair.client.receive_data(bytes.fromhex("0000000e80000004") + sequence.to_bytes(4, "big") + b"\0\0", 0.0)
    assert error.code == "malformed"
    assert pair.client.in_flight == [3]


@pytest.mark.parametrize("length", [0, 3, 11, 100_000_000])
def test_a_length_that_cannot_be_true_ends_the_session(protocol, pair_of, length):
    pair = pair_of(protocol)
    pair.submit(8)
    events = pair.client.receive_data(length.to_bytes(4, "big"), 0.0)
    assert reasons(events) == [CloseReason.FRAMING]
    assert events[-1].unanswered == (8,)


def test_a_notice_needs_no_answer(pair_of):
    pair = pair_of()
    frame = pair.dialect.encode({"command": "alert_notification", "source_addr": "1", "ms_availability_status": 0})
    (notice,) = pair.client.receive_data(frame, 0.0)
    assert isinstance(notice, NoticeReceived)
    assert notice.fields["ms_availability_status"] == 0
    assert pair.client.unanswered == 0


def test_what_follows_the_end_is_ignored(pair_of):
    pair = pair_of()
    pair.server.unbind(0.0)
    events = pair.client.receive_data(pair.server.bytes_to_send() + pair.dialect.keepalive(9), 0.0)
    assert isinstance(events[-1], Closed)
    assert len(pair.client.bytes_to_send()) == 16  # only the unbind's answer


@pytest.mark.parametrize("name", ["smpp34", "cmpp20", "cmpp30", "smgp30"])  # SGIP writes no message id
def test_an_id_the_wire_cannot_carry_is_the_callers_fault(name, pair_of):
    pair = pair_of(name)
    pair.submit(1)
    (event,) = pair.to_server()
    with pytest.raises(UsageError):
        pair.server.answer(event.handle, 0, "\0" * 80)
    assert pair.server.unanswered == 1
    with pytest.raises(UsageError):
        pair.server.answer_request(event.handle, {"command": "nothing"})


@pytest.mark.parametrize("name", ["cmpp20", "cmpp30", "smgp30"])
def test_a_server_that_cannot_prove_itself_is_not_trusted(name, pair_of):
    pair = pair_of(name, bound=False)
    pair.client.start(0.0)
    pair.to_server()
    pair.server.check_bind("another secret", 0.0)
    pair.server.answer_bind(None, 0.0)
    (bound,) = pair.to_client()
    assert isinstance(bound, Bound)
    assert bound.trusted is False


def test_a_client_of_2_0_is_served_by_a_server_of_3_0(pair_of):
    pair = pair_of("cmpp30", bound=False)
    old = pair_of("cmpp20", bound=False)
    old.client.start(0.0)
    pair.server.receive_data(old.client.bytes_to_send(), 0.0)
    assert pair.server.check_bind("secret", 0.0) is None
    pair.server.answer_bind(None, 0.0)
    (bound,) = old.client.receive_data(pair.server.bytes_to_send(), 0.0)
    assert (bound.version, bound.trusted) == (0x20, True)
    old.submit(1)
    (event,) = pair.server.receive_data(old.client.bytes_to_send(), 0.0)
    assert event.submit.content == b"hello"


def test_a_client_of_3_0_is_refused_by_a_server_of_2_0(pair_of):
    pair, new = pair_of("cmpp20", bound=False), pair_of("cmpp30", bound=False)
    new.client.start(0.0)
    pair.server.receive_data(new.client.bytes_to_send(), 0.0)
    assert pair.server.check_bind("secret", 0.0) is Refusal.VERSION
    pair.server.answer_bind(Refusal.VERSION, 0.0)
    refused, _ = new.client.receive_data(pair.server.bytes_to_send(), 0.0)
    assert refused.refusal is Refusal.VERSION


@pytest.mark.parametrize("name", ["cmpp20", "smgp30"])
@pytest.mark.parametrize(("late", "verdict"), [(100.0, None), (1000.0, Refusal.CREDENTIALS)])
def test_a_login_far_from_our_time_is_refused_where_asked_for(name, late, verdict, pair_of):
    pair = pair_of(name, bound=False, server_settings={"clock_tolerance": 300.0})
    pair.client.start(0.0)
    pair.to_server()
    assert pair.server.check_bind("secret", late) is verdict


def test_sgip_reports_come_on_the_carriers_own_connection(pair_of):
    pair = pair_of("sgip12", mode=BindMode.RECEIVER)
    pair.client.deliver([(1, Mo("13800000001", "95598", b"TD"))], 0.0)
    (event,) = pair.to_server()
    assert event.mo.content == b"TD"
    pair.server.acknowledge([event.handle])
    assert pair.to_client()[0].outcome is Outcome.OK


def test_sessions_of_one_node_use_different_sequences(wall):
    node = dialect("sgip12", {"node_id": 3010092008})
    frames = []
    for slot in (1, 2):
        config = SessionConfig(Credentials("gx", "pw"), sequence=slot << 24)
        session = Session(node, Role.CLIENT, config, 0.0, wall=wall)
        session.start(0.0)
        frames.append(session.bytes_to_send()[8:20].hex())
    assert frames == ["b36a5be806dd33c001000000", "b36a5be806dd33c002000000"]


def test_limits_of_a_dialect_hold_when_none_are_given():
    session = Session(dialect("cmpp20"), Role.CLIENT, SessionConfig(), 0.0, wall=0.0)
    assert isinstance(session.limits, Limits)
    assert (session.limits.window, session.limits.response, session.limits.keepalive_idle) == (16, 60.0, 180.0)


def test_a_dialect_is_made_from_a_links_settings():
    assert dialect("smgp30", {"version": 0x13}).settings.version == 0x13
    for name, settings in (("nope", {}), ("smpp34", {"nope": 1}), ("smpp34", {"dest_ton": "one"})):
        with pytest.raises(UsageError):
            dialect(name, settings)


def test_a_nack_where_there_is_none(pair_of):
    pair = pair_of("cmpp20")
    (error,) = pair.client.receive_data(bytes.fromhex("0000000c0000009900000001"), 0.0)
    assert error.code == "unknown_command"
    assert pair.client.bytes_to_send() == b""


@pytest.mark.parametrize("length", [5, 1_000_000])
def test_good_frames_before_a_lie_are_taken(pair_of, a_message, length):
    pair = pair_of()
    stream = pair.dialect.submit(a_message(), 1) + length.to_bytes(4, "big") + bytes(30)
    events = pair.server.receive_data(stream, 0.0)
    assert events[0].submit.content == b"hello"
    assert reasons(events) == [CloseReason.FRAMING]


def test_a_keepalive_skips_sequences_in_flight(pair_of):
    pair = pair_of(keepalive_idle=10.0, response=100.0)
    pair.submit(1)
    pair.client.bytes_to_send()
    pair.client._counter = 1  # as after a wrap: 2 is the submit's
    pair.client.handle_timer(10.0)
    assert pair.dialect.decode(pair.client.bytes_to_send())["sequence_number"] == 3


def test_sequences_of_single_requests_wrap_too(pair_of):
    pair = pair_of(keepalive_idle=10.0)
    pair.client._counter = pair.dialect.last_sequence
    pair.client.handle_timer(10.0)
    assert pair.dialect.decode(pair.client.bytes_to_send())["sequence_number"] == 1
    pair.client._counter = pair.dialect.last_sequence
    pair.submit(1)
    pair.client.bytes_to_send()
    pair.client._counter = pair.dialect.last_sequence
    pair.submit(2)
    assert pair.dialect.decode(pair.client.bytes_to_send())["sequence_number"] == 2
