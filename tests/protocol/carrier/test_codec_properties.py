import json
import os
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carrier.dialect import Credentials
from carrier.dialects import NAMES, dialect
from carrier.errors import CarrierError
from carrier.events import PeerError
from carrier.framing import FrameBuffer
from carrier.model import Mo, Report, Role, Submit
from carrier.session import Session, SessionConfig

# A longer hunt: GUANXIN_TEST_EXAMPLES=5000 pytest tests/protocol/carrier
EXAMPLES = int(os.environ.get("GUANXIN_TEST_EXAMPLES", "50"))
FEW = settings(max_examples=EXAMPLES // 5, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
dialects = pytest.mark.parametrize("name", NAMES)


@dialects
@MANY
@given(data=st.data())
def test_what_is_encoded_decodes_to_the_same(name, pdus, data):
    made = dialect(name)
    fields = data.draw(pdus(made))
    frame = made.encode(fields)
    shown = made.decode(frame)
    assert {key: value for key, value in shown.items() if key in fields} == fields
    assert set(shown) - set(fields) <= {made.codec.header.length}
    assert made.encode(shown) == frame
    assert made.encode(json.loads(json.dumps(shown))) == frame


@dialects
@FEW
@given(data=st.data())
def test_a_frame_cut_anywhere_is_the_declared_error(name, pdus, data):
    made = dialect(name)
    frame = made.encode(data.draw(pdus(made)))
    for end in range(len(frame)):
        with pytest.raises(CarrierError) as caught:
            made.decode(frame[:end])
        assert 0 <= caught.value.offset <= end
    with pytest.raises(CarrierError):
        made.decode(frame + b"\0")


@dialects
@FEW
@given(data=st.data())
def test_lying_lengths_are_the_declared_error_or_another_pdu(name, pdus, data):
    """Every octet of a frame in turn says something else: the decoder answers or refuses, and nothing else."""
    made = dialect(name)
    frame = made.encode(data.draw(pdus(made)))
    other = data.draw(st.integers(1, 255))
    for at in range(min(len(frame), 120)):
        lie = bytearray(frame)
        lie[at] = (lie[at] + other) % 256
        check_readers(made, bytes(lie))


@dialects
@MANY
@given(octets=st.binary(max_size=400), command=st.integers(0, 0x22), answer=st.booleans())
def test_any_octets_are_refused_or_read(name, octets, command, answer):
    made = dialect(name)
    head = (8 + len(octets)).to_bytes(4, "big") + (command | answer << 31).to_bytes(4, "big")
    check_readers(made, octets)
    if len(octets) + 8 >= made.header_size:
        check_readers(made, head + octets)


def check_readers(made, frame):
    readers = [made.decode]
    if len(frame) >= made.header_size and int.from_bytes(frame[:4], "big") == len(frame):
        command = int.from_bytes(frame[4:8], "big")
        kinds = {made.kinds(role).get(command) for role in Role}
        names = {kind.name for kind in kinds if kind is not None}
        readers += [made.read_submit] * ("SUBMIT" in names) + [made.read_deliver] * ("DELIVER" in names)
        readers += [made.read_bind] * ("BIND" in names) + [made.read_bind_answer] * ("BIND_ANSWER" in names)
        readers += [made.read_answer] * bool(names & {"SUBMIT_ANSWER", "DELIVER_ANSWER"})
    for read in readers:
        try:
            read(frame)
        except CarrierError as error:
            assert 0 <= error.offset <= len(frame)  # noqa: PT017 - either way is right, but nothing else


@dialects
@MANY
@given(chunks=st.lists(st.binary(max_size=200), max_size=6), role=st.sampled_from(Role), bound=st.booleans())
def test_a_session_survives_any_peer(name, chunks, role, bound):
    made = dialect(name)
    limits = replace(made.limits, peer_window=4)
    config = SessionConfig(Credentials("901234", "secret"), limits)
    session = Session(made, role, config, 0.0, wall=1.8e9)
    if role is Role.CLIENT:
        session.start(0.0)
    elif bound:
        session.receive_data(made.bind(Credentials("901234", "secret"), 1, 1.8e9), 0.0)
        session.answer_bind(None, 0.0)
    for now, chunk in enumerate(chunks):
        whole = (len(chunk) + 8).to_bytes(4, "big") + (now + 1).to_bytes(4, "big") + chunk
        session.receive_data(whole, float(now))
        assert len(session._frames._rest) <= made.largest_frame + len(whole)
        assert session.unanswered <= 4
        session.handle_timer(float(now))
        session.bytes_to_send()


@dialects
@FEW
@given(data=st.data())
def test_frames_are_cut_alike_however_they_arrive(name, pdus, data):
    made = dialect(name)
    frames = [made.encode(data.draw(pdus(made))) for _ in range(3)]
    stream = b"".join(frames)
    whole = [frame for _, _, frame in FrameBuffer(made).feed(stream)]
    assert whole == frames
    one_by_one, cut = FrameBuffer(made), FrameBuffer(made)
    collected = [frame for at in range(len(stream)) for _, _, frame in one_by_one.feed(stream[at : at + 1])]
    assert collected == frames
    at = data.draw(st.integers(0, len(stream)))
    assert [frame for _, _, frame in cut.feed(stream[:at]) + cut.feed(stream[at:])] == frames
    assert not one_by_one._rest
    assert not cut._rest


def test_a_large_frame_octet_by_octet_costs_linear_time():
    """Each octet is appended once and the frame copied once: counted, not timed."""
    made = dialect("smpp34")
    frame = made.encode({"command": "deliver_sm", "message_payload": "41" * 60_000})
    buffer = FrameBuffer(made)
    rests = [(buffer.feed(frame[at : at + 1]), buffer._rest)[1] for at in range(len(frame) - 1)]
    assert all(rest is rests[0] for rest in rests)
    assert [found for _, _, found in buffer.feed(frame[-1:])] == [frame]


# The fast paths against the exact path ----------------------------------------------------------------------------------

numbers = st.text("0123456789", min_size=1, max_size=11)
submits = st.builds(
    Submit,
    source=numbers,
    destination=numbers,
    content=st.binary(max_size=134),
    data_coding=st.sampled_from([4, 8]),
    udhi=st.booleans(),
    wants_report=st.booleans(),
    priority=st.integers(0, 3),
    service_type=st.text("ABC", max_size=5),
    validity=st.sampled_from(["", "300102030405032+"]),
    schedule=st.sampled_from(["", "300102030405032+"]),
    protocol_id=st.integers(0, 255),
    more_destinations=st.lists(numbers, max_size=3).map(tuple),
)


@dialects
@MANY
@given(submit=submits, sequence=st.integers(1, 0x7FFFFFFF))
def test_a_written_submit_reads_back_and_is_exact(name, submit, sequence):
    made = dialect(name, {"country_prefix": ""} if name == "sgip12" else {})
    frame = made.submit(submit, sequence)
    assert made.read_submit(frame) == submit
    assert made.encode(made.decode(frame)) == frame
    assert made.read_header(frame, 0)[0] == len(frame)
    assert made.read_header(frame, 0)[2] == sequence


mos = st.builds(
    Mo,
    source=numbers,
    destination=numbers,
    content=st.binary(max_size=140),
    data_coding=st.sampled_from([0, 8, 15]),
    udhi=st.booleans(),
    protocol_id=st.integers(0, 255),
)


@dialects
@MANY
@given(mo=mos, sequence=st.integers(1, 0x7FFFFFFF))
def test_a_written_message_from_a_phone_reads_back(name, mo, sequence):
    made = dialect(name, {"country_prefix": ""} if name == "sgip12" else {})
    frame = made.deliver(mo, sequence)
    got = made.read_deliver(frame)
    assert isinstance(got, Mo)
    compared = ("source", "destination", "content", "data_coding", "udhi", "protocol_id")
    assert [getattr(got, part) for part in compared] == [getattr(mo, part) for part in compared]
    assert got.raw == frame
    assert made.encode(made.decode(frame)) == frame


@dialects
@MANY
@given(data=st.data(), sequence=st.integers(1, 0x7FFFFFFF))
def test_a_written_report_reads_back(name, data, sequence):
    made = dialect(name, {"country_prefix": ""} if name == "sgip12" else {})
    digits = {"smpp34": 10, "cmpp20": 16, "cmpp30": 16, "sgip12": 24, "smgp30": 20}[name]
    message_id = data.draw(st.text("0123456789abcdef", min_size=digits, max_size=digits))
    from carrier.model import ReportState

    states = [ReportState.DELIVERED, ReportState.UNDELIVERABLE] if name == "sgip12" else list(ReportState)
    state = data.draw(st.sampled_from(states))
    report = Report(message_id, state, True, recipient=data.draw(numbers), submitted="2601010101", done="2601010102")
    frame = made.deliver(report, sequence)
    got = made.read_deliver(frame)
    assert isinstance(got, Report)
    assert (got.message_id, got.state, got.recipient) == (message_id, state, report.recipient)
    assert made.encode(made.decode(frame)) == frame


@dialects
@FEW
@given(message=st.one_of(submits, mos))
def test_a_cut_message_is_the_declared_error_in_the_fast_path_too(name, message):
    made = dialect(name)
    is_submit = isinstance(message, Submit)
    frame = made.submit(message, 1) if is_submit else made.deliver(message, 1)
    read = made.read_submit if is_submit else made.read_deliver
    for end in range(made.header_size, len(frame)):
        cut = end.to_bytes(4, "big") + frame[4:end]
        try:
            made.decode(cut)  # a cut between optional parameters is a message of its own
        except CarrierError:
            with pytest.raises(CarrierError):
                read(cut)


def test_errors_name_the_peers_fault_without_the_content():
    made = dialect("smpp34")
    session = Session(made, Role.SERVER, SessionConfig(), 0.0, wall=0.0)
    session.receive_data(made.bind(Credentials("a", "b"), 1, 0.0), 0.0)
    session.answer_bind(None, 0.0)
    frame = made.submit(Submit("95598", "13800000001", b"private words"), 2)[:-3]
    frame = len(frame).to_bytes(4, "big") + frame[4:]
    (error,) = session.receive_data(frame, 0.0)
    assert isinstance(error, PeerError)
    assert "13800000001" not in error.detail
    assert "private" not in error.detail
