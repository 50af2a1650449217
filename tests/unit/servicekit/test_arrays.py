"""Long lists as one text: what PostgreSQL makes of them is what was put in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from servicekit.arrays import SEPARATOR, flags, numbers, texts


def test_numbers_and_flags_are_in_the_notation_of_the_database():
    assert numbers([]) == "{}"
    assert numbers([1, -2, 8613800138000]) == "{1,-2,8613800138000}"
    assert flags([True, False]) == "{t,f}"


@given(st.lists(st.text(max_size=5), min_size=1, max_size=8))
def test_every_text_comes_back_but_for_what_cannot_be_stored(values):
    back = texts(values).split(SEPARATOR)[:-1]
    assert back == [value.replace(SEPARATOR, "?").replace("\0", "?") for value in values]
