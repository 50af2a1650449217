"""Marking, times, files, live updates: the shell's pieces."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

import console
from console.assets import VENDOR, Assets, AssetsMissing
from console.charts import stacked_bars
from console.i18n import Catalog
from console.live import Hub
from console.shell import _local
from console.show import hour, marked, moment, span

T = Catalog(Path(console.__file__).parent / "messages.toml").translator("en")


def test_findings_are_marked_and_everything_is_escaped():
    shown = marked('<b>贷款</b> & "x"', [(3, 5, 'rule "1"')])
    assert shown == '&lt;b&gt;<mark title="rule &#34;1&#34;">贷款</mark>&lt;/b&gt; &amp; &#34;x&#34;'


@given(st.text(max_size=40), st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.just("r")), max_size=6))
def test_marking_never_loses_or_repeats_a_character(text, spans):
    shown = str(marked(text, spans))
    plain = shown.replace('<mark title="r">', "").replace("</mark>", "")
    assert plain == str(marked(text, []))


def test_times_are_local_and_spans_have_two_units():
    assert moment(1_763_870_400_000) == "2025-11-23 12:00:00"
    assert hour(1_763_870_400_000) == "11-23 12:00"
    assert moment(None) == "–"
    assert [span(s, T) for s in (0, 59, 60, 3_661, 90_000, 172_800)] == [
        "0 s",
        "59 s",
        "1 min",
        "1 h 1 min",
        "1 d 1 h",
        "2 d",
    ]


@pytest.mark.parametrize("target", ["//evil", "/\\evil", "https://evil", "javascript:x", "", "/a\nb", "/" + "a" * 600])
def test_only_paths_of_ours_are_gone_to(target):
    assert _local(target, "/queue") == "/queue"


def test_a_path_of_ours_is_gone_to():
    assert _local("/tasks/1?x=2", "/queue") == "/tasks/1?x=2"


def test_charts_are_data():
    assert '"stack":"all"' in stacked_bars(["d"], [("n", [1], "approved")])


@pytest.fixture
def assets(tmp_path):
    for name in VENDOR:
        path = tmp_path / "vendor" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    own = tmp_path / "own"
    own.mkdir()
    (own / "a.css").write_text("body{}")
    (own / "secret.py").write_text("no")
    return Assets(tmp_path / "vendor", own=own)


def request(path: str, query: bytes = b"", headers=()):
    scope = {"type": "http", "path_params": {"path": path}, "query_string": query, "headers": list(headers)}
    return Request(scope)


async def test_files_are_served_by_digest_and_nothing_else_is(assets):
    url = assets.url("own/a.css")
    answer = await assets.serve(request("own/a.css", url.partition("?")[2].encode()))
    assert "immutable" in answer.headers["cache-control"]
    stale = await assets.serve(request("own/a.css", b"v=old"))
    assert "immutable" not in stale.headers["cache-control"]
    again = await assets.serve(request("own/a.css", headers=[(b"if-none-match", answer.headers["etag"].encode())]))
    assert again.status_code == 304
    for path in ("own/secret.py", "../own/a.css", "own", "own/../own/a.css"):
        assert (await assets.serve(request(path))).status_code == 404
    with pytest.raises(KeyError):
        assets.url("own/none.css")


def test_missing_files_say_what_to_do(tmp_path):
    with pytest.raises(AssetsMissing, match="make run"):
        Assets(tmp_path)


async def test_a_burst_of_changes_is_one_event_and_closing_ends_streams():
    hub = Hub()

    async def never():
        await asyncio.Event().wait()

    response = await hub.stream(Request({"type": "http", "headers": []}, receive=never))
    stream = response.body_iterator
    assert b"hello" in await anext(stream)
    following = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    for _ in range(1_000):
        hub.tell("queue")
    assert await following == b"event: queue\ndata: 1\n\n"
    ending = asyncio.ensure_future(anext(stream, None))
    await asyncio.sleep(0)
    hub.close()
    while (await ending) is not None:
        ending = asyncio.ensure_future(anext(stream, None))
    assert hub.listeners == 0
