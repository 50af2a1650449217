"""Random lives of a link, both ends ours: whatever happens, every item handed over has exactly one end."""

from __future__ import annotations

import random

import pytest

from carrier.errors import WindowFullError
from carrier.events import Answered, Closed, DeliverReceived, ReportReceived, Resent, SubmitReceived
from carrier.model import Mo, Outcome, Report, ReportState, Submit
from carrier.states import State

STEPS = ("submit", "submit", "deliver", "answer", "acknowledge", "upwards", "upwards", "downwards", "downwards", "wait")


class Life:
    """One connection with a moody server: it answers late, out of order, not at all; octets arrive in any pieces."""

    def __init__(self, pair, seed):
        self.pair, self.rng, self.now = pair, random.Random(seed), 0.0
        self.client, self.server = pair.client, pair.server
        self.up, self.down = bytearray(), bytearray()
        self.sent, self.ended, self.accepted, self.confirmed = [], [], [], []
        self.told, self.heard = [], []
        self.waiting, self.owed = [], []
        self.serial = 0

    def step(self):
        getattr(self, self.rng.choice(STEPS))()
        self.up += self.client.bytes_to_send()
        self.down += self.server.bytes_to_send()
        assert len(self.client.in_flight) <= self.pair.limits.window
        assert self.server.unanswered <= self.pair.limits.peer_window

    def submit(self):
        count = self.rng.randint(1, 4)
        tokens = range(len(self.sent), len(self.sent) + count)
        batch = [(token, Submit("95598", f"138{token:08d}", b"x")) for token in tokens]
        if self.client.window_free >= count:
            self.client.submit(batch, self.now)
            self.sent += tokens
        elif self.client.state is State.BOUND:
            with pytest.raises(WindowFullError):
                self.client.submit(batch, self.now)

    def deliver(self):
        if self.server.window_free:
            token = len(self.told)
            item = Mo("13800000001", "95598", b"%d" % token)
            if token % 2:
                item = Report(f"{token:x}", ReportState.DELIVERED, True, recipient="13800000001", sender="95598")
            self.server.deliver([(token, item)], self.now)
            self.told.append(token)

    def answer(self):
        self.rng.shuffle(self.waiting)
        keep = self.rng.randint(0, len(self.waiting))
        for event in self.waiting[keep:]:
            self.serial += 1
            outcome = self.rng.choice((Outcome.OK, Outcome.OK, Outcome.OK, Outcome.THROTTLED))
            message_id = self.pair.dialect.message_id(self.serial, 1.8e9, event.frame) if outcome is Outcome.OK else ""
            if self.server.answer(event.handle, outcome, message_id) and outcome is Outcome.OK:
                self.accepted.append(int(event.submit.destination[-8:]))
        del self.waiting[keep:]

    def acknowledge(self):
        self.client.acknowledge(self.owed)
        self.owed.clear()

    def upwards(self, count=None):
        count = self.rng.randint(0, len(self.up)) if count is None else count
        chunk, self.up = bytes(self.up[:count]), self.up[count:]
        self.at_server(self.server.receive_data(chunk, self.now))

    def downwards(self, count=None):
        count = self.rng.randint(0, len(self.down)) if count is None else count
        chunk, self.down = bytes(self.down[:count]), self.down[count:]
        self.at_client(self.client.receive_data(chunk, self.now))

    def wait(self):
        """Mostly a moment, sometimes up to the next deadline."""
        known = [one for one in (self.client.next_deadline(), self.server.next_deadline()) if one is not None]
        self.now = max(self.now, min(known)) if known and self.rng.random() < 0.1 else self.now + self.rng.random()
        self.at_client(self.client.handle_timer(self.now))
        self.at_server(self.server.handle_timer(self.now))

    def at_server(self, events):
        for event in events:
            if isinstance(event, SubmitReceived):
                self.waiting.append(event)
            elif isinstance(event, Answered):
                self.heard.append(event.token)
            elif isinstance(event, Closed):
                self.heard += event.unanswered

    def at_client(self, events):
        for event in events:
            if isinstance(event, Answered):
                self.ended.append(event.token)
                if event.outcome is Outcome.OK:
                    self.confirmed.append(event.token)
            elif isinstance(event, Closed):
                self.ended += event.unanswered
            elif isinstance(event, DeliverReceived | ReportReceived):
                self.owed.append(event.handle)
            elif isinstance(event, Resent):
                assert self.pair.limits.attempts > 1

    def finish(self, *, gracefully):
        """Unbind and let everything drain, or cut the line."""
        if gracefully:
            self.at_client(self.client.unbind(self.now))
        for _ in range(60):
            if not gracefully or self.client.state is State.CLOSED:
                break
            self.answer()
            self.acknowledge()
            self.up += self.client.bytes_to_send()
            self.upwards(len(self.up))
            self.down += self.server.bytes_to_send()
            self.downwards(len(self.down))
            deadline = self.client.next_deadline()
            self.at_client(
                self.client.handle_timer(self.now if deadline is None else max(self.now, min(deadline, self.now + 1)))
            )
            self.now += 1
        self.at_client(self.client.receive_eof(self.now))
        self.at_server(self.server.receive_eof(self.now))


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("gracefully", [True, False])
def test_every_item_has_exactly_one_end(protocol, pair_of, seed, gracefully):
    life = Life(pair_of(protocol, window=8, peer_window=20, response=20.0), seed)
    for _ in range(300):
        life.step()
    life.finish(gracefully=gracefully)
    assert sorted(life.ended) == life.sent
    assert sorted(life.heard) == life.told
    assert len(set(life.accepted)) == len(life.accepted)  # the server took none twice, however often it was sent
    assert set(life.confirmed) <= set(life.accepted)  # what we call accepted, was


def test_lives_do_reach_every_end(pair_of):
    """The random lives are worth their name: they see answers, refusals, uncertain ends and repeats."""
    seen = set()
    for seed in range(25):
        life = Life(pair_of("cmpp20", window=8, peer_window=20, response=20.0), seed)
        for _ in range(300):
            life.step()
        seen |= {"confirmed"} if life.confirmed else set()
        seen |= {"refused"} if set(life.ended) - set(life.confirmed) else set()
        seen |= {"in flight"} if life.client.in_flight else set()
        seen |= {"told"} if life.heard else set()
    assert seen == {"confirmed", "refused", "in flight", "told"}
