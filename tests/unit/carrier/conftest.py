"""A client and a server of the same engine, joined in memory, with floats for time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carrier.dialect import Credentials
from carrier.dialects import NAMES, dialect
from carrier.events import BindRequested
from carrier.model import BindMode, Role, Submit
from carrier.session import Session, SessionConfig

WALL = 1_800_000_000.0


class Pair:
    """``client`` and ``server`` with their octets still in hand; ``now`` moves only when the test says so."""

    def __init__(self, name="smpp34", *, mode=BindMode.TRANSCEIVER, settings=None, server_settings=None, **limits):
        self.dialect = dialect(name, settings)
        server_dialect = dialect(name, server_settings) if server_settings is not None else self.dialect
        self.now = 0.0
        self.limits = replace(self.dialect.limits, **limits)
        credentials = Credentials("901234", "secret", mode)
        self.client = Session(self.dialect, Role.CLIENT, SessionConfig(credentials, self.limits), 0.0, wall=WALL)
        self.server = Session(server_dialect, Role.SERVER, SessionConfig(limits=self.limits), 0.0, wall=WALL)

    def to_server(self):
        return self.server.receive_data(self.client.bytes_to_send(), self.now)

    def to_client(self):
        return self.client.receive_data(self.server.bytes_to_send(), self.now)

    def bound(self):
        self.client.start(self.now)
        (asked,) = self.to_server()
        assert isinstance(asked, BindRequested)
        assert self.server.check_bind("secret", self.now) is None
        self.server.answer_bind(None, self.now)
        self.to_client()
        return self

    def submit(self, *tokens, **fields):
        self.client.submit([(token, message(**fields)) for token in tokens], self.now)


def message(source="95598", destination="13800000001", content=b"hello", **fields):
    return Submit(source, destination, content, **fields)


@pytest.fixture(params=NAMES)
def protocol(request):
    return request.param


@pytest.fixture
def pair_of():
    """Pair(name, ...) bound unless ``bound=False``."""

    def make(name="smpp34", *, bound=True, **options):
        pair = Pair(name, **options)
        return pair.bound() if bound else pair

    return make


@pytest.fixture
def a_message():
    return message


@pytest.fixture
def wall():
    return WALL
