"""Every text exists in both languages, and every text a template or page asks for exists."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import console
import review
from console.i18n import Catalog, CatalogError, language_of
from contracts.lanes import LANES
from review.domain.hints import HintKind
from review.domain.item import ItemState
from review.domain.policy import Tier

CONSOLE = Path(console.__file__).parent
REVIEW = Path(review.__file__).parent
FILES = (CONSOLE / "messages.toml", REVIEW / "templates" / "messages.toml")
CATALOG = Catalog(*FILES)


def sources():
    yield from CONSOLE.rglob("*.html")
    yield from REVIEW.rglob("*.html")
    yield from (REVIEW / "api" / "pages").glob("*.py")


@pytest.mark.parametrize("path", list(sources()), ids=lambda path: path.name)
def test_every_text_asked_for_exists(path):
    text = path.read_text(encoding="utf-8")
    asked = set(re.findall(r"""\bt\(\s*["']([a-z_]+\.[a-z_0-9.]+)["']\s*[,)]""", text))
    assert asked <= CATALOG.keys()


def test_codes_from_data_have_texts():
    wanted = [f"state.{state.value}" for state in ItemState]
    wanted += [f"tier.{tier.value}" for tier in Tier]
    wanted += [f"lane.{lane.value}" for lane in LANES]
    wanted += [f"hint.{kind.value}" for kind in HintKind]
    wanted += [f"refused.already_{s.value}" for s in ItemState if s.value not in ("queued", "claimed")]
    actions = re.findall(r'"((?:task|port|user|policy|number)\.[a-z_]+)"', all_python())
    wanted += [f"action.{action}" for action in actions]
    assert len(actions) > 15
    assert set(wanted) <= CATALOG.keys()


def all_python():
    return "\n".join(path.read_text(encoding="utf-8") for path in (REVIEW / "handlers").glob("*.py"))


def test_the_fields_of_both_languages_are_the_same():
    for key in sorted(CATALOG.keys()):
        chinese, english = CATALOG.text(key, "zh"), CATALOG.text(key, "en")
        assert set(re.findall(r"\{(\w+)\}", chinese)) == set(re.findall(r"\{(\w+)\}", english)), key


def test_chinese_is_chinese_and_english_has_none():
    for path in FILES:
        assert tomllib.loads(path.read_text(encoding="utf-8"))
    for key in sorted(CATALOG.keys()):
        assert not re.search(r"[\u4e00-\u9fff]", CATALOG.text(key, "en")) or key == "app.language", key


def test_no_page_carries_inline_script_or_style():
    for path in sources():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), path
        assert not re.search(r"\sstyle=|\son[a-z]+=", text), path


@pytest.mark.parametrize("body", ['a = "x"', 'a = ["x"]', 'a = ["x", ""]', 'a = ["x", 1]'])
def test_a_text_in_one_language_only_is_refused(tmp_path, body):
    path = tmp_path / "m.toml"
    path.write_text(body, encoding="utf-8")
    with pytest.raises(CatalogError):
        Catalog(path)


def test_a_key_twice_is_refused(tmp_path):
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text('a = ["x", "y"]', encoding="utf-8")
    with pytest.raises(CatalogError, match="twice"):
        Catalog(tmp_path / "a.toml", tmp_path / "b.toml")


def test_a_missing_text_is_a_fault():
    with pytest.raises(KeyError):
        CATALOG.translator("zh")("no.such")
    assert CATALOG.translator("zh").code("reason", "brand_new_rule") == "brand_new_rule"


@pytest.mark.parametrize(
    ("cookie", "header", "language"),
    [
        ("en", "zh-CN", "en"),
        (None, "en-GB,en;q=0.9,zh;q=0.8", "en"),
        (None, "fr,zh-TW;q=0.5", "zh"),
        ("xx", "", "zh"),
        (None, "", "zh"),
    ],
)
def test_the_language_is_the_chosen_one_else_the_browsers(cookie, header, language):
    assert language_of(cookie, header) == language
