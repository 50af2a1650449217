"""Lines and commands of a modem: unsolicited codes anywhere, prompts, errors, silence, noise."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsm.at_channel import MOST_LINES, Answer, Channel, Command
from gsm.at_lines import MOST_LINE, Item, Line, LineReader, Prompt, Result, Unsolicited


def read(data: bytes) -> list[Item]:
    return LineReader().receive(data)


@pytest.mark.parametrize(
    ("data", "items"),
    [
        (b"\r\nOK\r\n", [Result(True, "OK")]),
        (b"\r\nERROR\r\n", [Result(False, "ERROR")]),
        (b"\r\nNO CARRIER\r\n", [Result(False, "NO CARRIER")]),
        (b"\r\n+CMS ERROR: 42\r\n", [Result(False, "+CMS ERROR: 42", "CMS", 42)]),
        (b"\r\n+CME ERROR:10\r\n", [Result(False, "+CME ERROR:10", "CME", 10)]),
        (b"\r\n+CMS ERROR: SIM busy\r\n", [Result(False, "+CMS ERROR: SIM busy", "CMS", None)]),
        (b"+CMS ERROR: 123456789012\n", [Result(False, "+CMS ERROR: 123456789012", "CMS", None)]),
        (b"\r\n> ", [Prompt()]),
        (b'\r\n+CMTI: "SM",3\r\n', [Unsolicited("+CMTI", '"SM",3')]),
        (b"RING\r\n", [Unsolicited("RING", "")]),
        (b"^RSSI:12\r\n", [Unsolicited("^RSSI", "12")]),
        (b"\r\n+CSQ: 20,99\r\n", [Line("+CSQ: 20,99")]),
        (b"\r\n+CMT: ,2\r\n0011AA\r\n", [Unsolicited("+CMT", ",2", "0011AA")]),
        (b'+CMT: "Ann",2\r\n0011AA\r\n', [Unsolicited("+CMT", '"Ann",2', "0011AA")]),
        (b"+CDS: 2\r\n0011\r\n", [Unsolicited("+CDS", "2", "0011")]),
        (b"+CDS: x\r\n0011\r\n", [Unsolicited("+CDS", "x", "0011")]),
        # A code slips in between; the PDU still belongs to the first.
        (b'+CDS: 2\r\n+CMTI: "SM",1\r\n0011\r\n', [Unsolicited("+CMTI", '"SM",1'), Unsolicited("+CDS", "2", "0011")]),
        # Its PDU never comes.
        (b"+CDS: 20\r\nOK\r\n", [Unsolicited("+CDS", "20"), Result(True, "OK")]),
        (b"+CDS: 20\r\n0011\r\n", [Unsolicited("+CDS", "20"), Line("0011")]),
        (b"+CDS: 20\r\n861234567890123\r\n", [Unsolicited("+CDS", "20"), Line("861234567890123")]),
        (b"+CDS: 1\r\n+CMT: ,1\r\n00AA\r\n", [Unsolicited("+CDS", "1"), Unsolicited("+CMT", ",1", "00AA")]),
        (b"\r\n\r\n   \r\n", []),
        (b"\xff\xfe\r\n", [Line("\xff\xfe")]),
    ],
)
def test_lines_whole_and_octet_by_octet(data: bytes, items: list[Item]) -> None:
    assert read(data) == items
    reader = LineReader()
    assert [item for octet in data for item in reader.receive(bytes((octet,)))] == items


def test_a_line_without_end_is_dropped_and_memory_bounded() -> None:
    reader = LineReader()
    assert reader.receive(b"x" * (MOST_LINE * 3)) == []
    assert len(reader._buffer) == MOST_LINE
    assert reader.receive(b"\r\nOK\r\n") == [Result(True, "OK")]


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=5))
def test_any_octets_in_any_pieces(data: bytes, cuts: list[int]) -> None:
    reader = LineReader()
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in itertools.pairwise(edges)]
    assert [item for piece in pieces for item in reader.receive(piece)] == read(data)


def test_an_answer_with_echo_and_codes_in_between() -> None:
    channel = Channel()
    command = Command("AT+CSQ", 5.0)
    channel.send(command, 0.0)
    assert channel.next_deadline() == 5.0
    assert channel.bytes_to_send() == b"AT+CSQ\r"
    assert channel.bytes_to_send() == b""
    out = channel.receive(b'AT+CSQ\r\r\n+CMTI: "SM",1\r\n\r\n+CSQ: 20,99\r\n\r\nOK\r\n', 1.0)
    assert out == [Unsolicited("+CMTI", '"SM",1'), Answer(command, True, ("+CSQ: 20,99",), text="OK")]
    assert channel.idle
    assert channel.next_deadline() is None
    assert channel.handle_timer(99.0) is None


def test_the_payload_follows_the_prompt_once_and_the_clock_starts_again() -> None:
    channel = Channel()
    command = Command("AT+CMGS=2", 60.0, b"0011")
    channel.send(command, 0.0)
    channel.bytes_to_send()
    assert channel.receive(b"\r\n> ", 10.0) == []
    assert channel.bytes_to_send() == b"0011\x1a"
    assert channel.next_deadline() == 70.0
    channel.receive(b"> ", 11.0)
    assert channel.bytes_to_send() == b""
    assert channel.receive(b"\r\n+CMGS: 7\r\n\r\nOK\r\n", 12.0) == [
        Answer(command, True, ("+CMGS: 7",), text="OK", delivered=True)
    ]


@pytest.mark.parametrize("prompted", [True, False])
def test_silence_after_a_payload_command_ends_with_an_escape(prompted: bool) -> None:
    channel = Channel()
    command = Command("AT+CMGS=2", 60.0, b"0011")
    channel.send(command, 0.0)
    if prompted:
        channel.receive(b"> ", 0.0)
    channel.bytes_to_send()
    assert channel.handle_timer(59.9) is None
    assert channel.handle_timer(60.0) == Answer(command, False, timed_out=True, delivered=prompted)
    assert channel.bytes_to_send() == b"\x1b"


def test_silence_after_a_plain_command() -> None:
    channel = Channel()
    channel.send(Command("AT", 1.0), 0.0)
    channel.bytes_to_send()
    answer = channel.handle_timer(1.0)
    assert answer is not None
    assert answer.timed_out
    assert channel.bytes_to_send() == b""


def test_what_comes_while_idle() -> None:
    channel = Channel()
    assert channel.receive(b"OK\r\n> \r\n+CREG: 1\r\n", 0.0) == [Unsolicited("+CREG", "1")]
    channel.send(Command("AT"), 0.0)
    channel.receive(b"> ", 0.0)  # a prompt nobody asked for
    channel.write(b"\x1b")
    assert channel.bytes_to_send() == b"AT\r\x1b"


def test_an_answer_without_end_is_bounded() -> None:
    channel = Channel()
    channel.send(Command("AT+CMGL=4"), 0.0)
    channel.receive(b"noise\r\n" * (MOST_LINES + 50), 0.0)
    (answer,) = channel.receive(b"OK\r\n", 0.0)
    assert isinstance(answer, Answer)
    assert len(answer.lines) == MOST_LINES
