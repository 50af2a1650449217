"""Every example of an event this service consumes is handled, from the committed octets on."""

from __future__ import annotations

from contracts.envelope import decode, encode
from contracts.examples import examples
from spamfilter.adapters.events import TopicNames, counted_events, outcome_events
from spamfilter.domain.caps import CodeCaps, Limits
from spamfilter.domain.chunks import Policy, State, screen_chunk
from spamfilter.domain.codes import CodeTemplates
from spamfilter.domain.sender import SenderWindows
from spamfilter.domain.soundness import fault_of


def test_an_accepted_chunk_becomes_events_that_can_be_read(matcher):
    chunk = decode(encode(examples()["ChunkAccepted"])).data.chunk
    assert fault_of(chunk) is None
    state = State(SenderWindows(300_000), CodeCaps(Limits()))
    outcome = screen_chunk(chunk, Policy(matcher, CodeTemplates([])), state, chunk.accepted_at + 5)
    assert outcome.judged.chunk_id == chunk.chunk_id
    names = TopicNames()
    for topic, envelope in [*counted_events(names, chunk, outcome, ""), *outcome_events(names, chunk, outcome, "")]:
        assert decode(encode(envelope)) == envelope
        assert topic.startswith("spamfilter.")


def test_a_count_is_recalled():
    envelope = decode(encode(examples()["SenderCounted"]))
    counted = envelope.data
    windows = SenderWindows(300_000)
    windows.recall(envelope.key, counted.sender, counted.chunk_id, counted.first, counted.count, counted.at)
    admitted = windows.admit(envelope.key, counted.sender, "f" * 32, 0, 1, counted.at, 10**6)
    assert admitted.prior == counted.count
