"""Everything the fuzzers found worth keeping, replayed: no fault, and no input that costs more than its size explains."""

import pytest
from fuzz import corpus, cost
from fuzz.targets import TARGETS

COSTED = 4
"""Every so many inputs one is weighed too, which takes ten times as long; the fuzzers weigh others."""


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_shows_no_fault(name):
    check = TARGETS[name].check
    for data in [*TARGETS[name].seeds(), *corpus.load(name)]:
        try:
            check(data)
        except Exception as error:
            raise AssertionError(f"{name} {data.hex()}") from error


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_of_the_corpus_costs_more_than_its_size_explains(name):
    check = TARGETS[name].check
    for data in corpus.load(name)[::COSTED]:
        cost.check(lambda one=data: check(one))


def test_a_cost_above_the_bound_is_seen():
    from smstext.septets import unpack

    with pytest.raises(cost.CostExceeded):
        cost.lines(lambda: unpack(bytes(7000), 8000), 8000)
    with pytest.raises(cost.CostExceeded):
        cost.check(lambda: len(bytes(64) * 10_000) and 1)
