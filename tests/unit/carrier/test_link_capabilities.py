"""What a link asks a dialect: who connects, whose numbers are ids, how ids and recipients are written."""

from __future__ import annotations

import pytest

from carrier.dialect import Credentials, Limits
from carrier.dialects import NAMES, dialect
from carrier.ids import IdMode
from carrier.model import Role, Submit
from carrier.session import Session, SessionConfig
from carrier.timetext import absolute, login_stamp, stamped_at

WALL = 1_795_410_000.0


def bound_client(name: str, **config) -> Session:
    """A client that is bound to nobody in particular: what it writes is looked at."""
    made = dialect(name)
    limits = Limits(window=100)
    client = Session(made, Role.CLIENT, SessionConfig(Credentials("gx", "secret"), limits, **config), 0.0, wall=WALL)
    server = Session(made, Role.SERVER, SessionConfig(limits=limits), 0.0, wall=WALL)
    client.start(0.0)
    server.receive_data(client.bytes_to_send(), 0.0)
    assert server.check_bind("secret", 0.0) is None
    server.answer_bind(None, 0.0)
    client.receive_data(server.bytes_to_send(), 0.0)
    return client


def numbers_of(client: Session, count: int) -> list[int]:
    batch = [(token, Submit("10690001", "8613800138000", b"hello")) for token in range(count)]
    client.submit(batch, 0.0)
    made, data, found = client.dialect, client.bytes_to_send(), []
    while data:
        length, _, sequence = made.read_header(data, 0)
        found.append(sequence & 0xFFFFFFFF)
        data = data[length:]
    return found


def test_only_where_the_carrier_calls_does_it_call() -> None:
    assert [name for name in NAMES if dialect(name).carrier_calls] == ["sgip12"]
    assert [name for name in NAMES if dialect(name).sequence_is_id] == ["sgip12"]
    assert [name for name in NAMES if dialect(name).id_mode is not IdMode.EXACT] == ["smpp34"]


@pytest.mark.parametrize("name", NAMES)
def test_a_part_of_the_counters_space_is_never_left(name: str) -> None:
    client = bound_client(name, sequence=1_000_008, sequences=(1_000_000, 1_000_009))
    assert client.counter == 1_000_008
    assert numbers_of(client, 3) == [1_000_009, 1_000_000, 1_000_001]
    assert client.counter == 1_000_001


@pytest.mark.parametrize("name", NAMES)
def test_without_one_the_counter_begins_where_the_protocol_says(name: str) -> None:
    assert bound_client(name).counter == dialect(name).first_sequence


@pytest.mark.parametrize("name", NAMES)
def test_the_longest_ascii_message_can_be_written_and_none_longer(name: str) -> None:
    made = dialect(name)
    coding = made.codings["ascii"]
    made.submit(Submit("10690001", "13800138000", b"a" * made.longest_ascii, data_coding=coding), 1)


def test_an_id_that_is_a_sequence_tells_when() -> None:
    made = dialect("sgip12", {"node_id": 3010092008})
    message_id = f"{made.sequence_base(WALL) | 7:024x}"
    assert made.submitted_at(message_id, WALL + 86_400) == WALL
    assert made.submitted_at(message_id, WALL + 200 * 86_400) is not None
    assert made.submitted_at("", WALL) is None
    assert made.submitted_at("b36b97a8" + f"{9999999999 & 0xFFFFFFFF:08x}" + "00000001", WALL) is None
    assert dialect("cmpp20").submitted_at("7d36dec027750102", WALL) is None


def test_a_stamp_of_last_year_is_last_years() -> None:
    new_year = 1_798_732_800.0  # 2027-01-01 00:00 in China
    assert absolute(new_year).startswith("270101000000")
    assert stamped_at(login_stamp(new_year - 60), new_year + 60) == new_year - 60
    assert stamped_at(230_000_000, new_year) is None
