import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.composition import fill
from ingest.domain.refusal import Refused
from ingest.domain.template import MAX_VARIABLES, clean, parse, plain


def test_variables_are_taken_out_in_order_and_used_again():
    template = parse("尊敬的{name}，{month}月电费{amount}元，{name}请缴纳")
    assert template.names == ["name", "month", "amount"]
    assert template.slots == [0, 1, 2, 0]
    assert fill(template, ["张", "10", "86.4"]) == "尊敬的张，10月电费86.4元，张请缴纳"


def test_doubled_braces_stand_for_themselves():
    template = parse("{{不是变量}} {x}")
    assert template.names == ["x"]
    assert fill(template, ["1"]) == "{不是变量} 1"


def test_a_content_has_no_variables_whatever_it_holds():
    assert plain("{a} {0.__class__}").slots == []


@pytest.mark.parametrize(
    "text", ["{", "}", "a{b", "{}", "{1a}", "{a.b}", "{a[0]}", "{a!r}", "{a:>10}", "{" + "x" * 33 + "}", "{a b}"]
)
def test_what_is_no_name_is_refused_with_its_place(text):
    with pytest.raises(Refused) as caught:
        parse(text)
    assert caught.value.code == "template_invalid"
    assert "at" in caught.value.details


def test_too_many_variables_are_refused():
    parse("".join(f"{{v{n}}}" for n in range(MAX_VARIABLES)))
    with pytest.raises(Refused):
        parse("".join(f"{{v{n}}}" for n in range(MAX_VARIABLES + 1)))


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs"]), max_size=20), min_size=1, max_size=6))
def test_taking_apart_and_filling_gives_the_text_back(parts):
    text = "".join(
        part.replace("{", "{{").replace("}", "}}") + (f"{{v{n}}}" if n < len(parts) - 1 else "")
        for n, part in enumerate(parts)
    )
    template = parse(text)
    assert fill(template, [f"<{n}>" for n in range(len(parts) - 1)]) == "".join(
        part + (f"<{n}>" if n < len(parts) - 1 else "") for n, part in enumerate(parts)
    )


@pytest.mark.parametrize("text", ["a\0b", "a\x1bb", "\ud800", "\x85", "\x7f"])
def test_characters_no_phone_shows_are_not_clean(text):
    assert not clean(text)


def test_line_feeds_and_emoji_are_clean():
    assert clean("一\n二\t🎉")
