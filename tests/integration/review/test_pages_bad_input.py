"""Bad input on the pages: every form and every query of the console, by the role that may use it, never makes a fault of ours."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from itertools import product
from typing import Any
from urllib.parse import quote, urlencode

import api_probe
import httpx
import pytest
import pytest_asyncio
from fastapi.routing import APIRoute

from console.shell import SESSION_COOKIE
from review.handlers.people import _digest
from review.store import people as store

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUEUE = {"port": "106", "enterprise": "e1", "risk": "bulk", "age": "fresh", "lane": "notice", "mine": "1"}
AUDIT = {"before": "9", "actor": "x", "action": "task.claim", "subject": "x"}
PERSON = {"role": "reviewer", "display": "张三", "api_users": "oa crm"}
ROUTES: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "GET /": ("", {}, {}),
    "GET /login": ("", {}, {"next": "/queue"}),
    "POST /login": ("", {}, {"name": "nobody", "password": "nothing", "login": "x", "next": "/queue"}),
    "POST /logout": ("", {}, {}),
    "POST /language/{language}": ("", {"language": "zh"}, {}),
    "POST /theme/{theme}": ("", {"theme": "dark"}, {}),
    "GET /favicon.ico": ("", {}, {}),
    "GET /queue": ("auditor", {}, QUEUE),
    "GET /queue/rows": ("reviewer", {}, QUEUE),
    "POST /act/{action}": (
        "supervisor",
        {"action": "claim"},
        {"task": "", "cluster": "1:106:e1", "note": "好", "cite": "YW-2"},
    ),
    "GET /tasks/{task_id}": ("reviewer", {"task_id": "0" * 32}, {}),
    "POST /tasks/{task_id}/reveal": ("reviewer", {"task_id": "0" * 32}, {"chunk": "0" * 32, "index": "0"}),
    "GET /report": ("reviewer", {}, {"days": "7"}),
    "GET /report.csv": ("reviewer", {}, {"days": "7"}),
    "GET /report.xlsx": ("reviewer", {}, {"days": "7"}),
    "GET /ports": ("reviewer", {}, {}),
    "POST /ports": (
        "admin",
        {},
        {
            "port": "10655001",
            "tier": "high",
            "threshold": "5",
            "window": "08:00-21:00",
            "enterprise": "e1",
            "fast_lane": "on",
        },
    ),
    "POST /ports/threshold": ("admin", {}, {"threshold": "50"}),
    "POST /ports/{port}/{verb}": ("supervisor", {"port": "10655001", "verb": "suspend"}, {"reason": "测试"}),
    "GET /audit": ("auditor", {}, AUDIT),
    "POST /audit/verify": ("auditor", {}, {}),
    "GET /audit.csv": ("auditor", {}, AUDIT),
    "GET /users": ("admin", {}, {}),
    "POST /users": ("admin", {}, {"name": "zhang", "password": "short", **PERSON}),
    "POST /users/{name}/{verb}": ("admin", {"name": "nobody", "verb": "change"}, {"password": "short", **PERSON}),
    "GET /account": ("reviewer", {}, {}),
    "POST /account": ("reviewer", {}, {"old": "wrong", "password": "short"}),
}
"""Who uses a route, its path parameters and its fields, as a browser would fill them in."""

ENDLESS = {"GET /events"}
"""Answers as long as the page is open; takes no input."""

HURTS = (
    "\0",
    "a\0b",
    "٣٤٥",
    "²",
    "9" * 5_000,
    "-1",
    "\U0010ffff",
    "{0.__class__}",
    "\r\nx: y",
    "<script>",
    "x" * 300,
    "",
)
FORM = "application/x-www-form-urlencoded"
OCTETS: tuple[tuple[str, bytes], ...] = (
    (FORM, b"%ff%fe=%ff&note=%ed%a0%80&%00=%00"),
    (FORM, b"\0\xff&=&&;=%"),
    (FORM, b"&".join([b"task=1"] * 1_200)),
    (FORM, b"note=" + b"x" * 1_100_000),
    ("multipart/form-data", b"x"),
    ("multipart/form-data; boundary=x", b"--x\r\n"),
    (
        "multipart/form-data; boundary=x; charset=utf-7",
        b'--x\r\ncontent-disposition: form-data; name="name"\r\n\r\n+2AA-\r\n--x--\r\n',
    ),
    (
        "multipart/form-data; boundary=x; charset=idna",
        b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\nxn--\xff\r\n--x--\r\n',
    ),
    ("application/json", b'{"note": "\\u0000"}'),
    ("", b"note=1"),
)
HEADERS: tuple[dict[str, bytes], ...] = (
    {"referer": b"http://["},
    {"referer": b"//evil.example/x"},
    {"host": b"["},
    {"cookie": b"gx_session=\xff; gx_lang=\xff; gx_login=\0; gx_theme=dark"},
    {"accept-language": b"\xff,zh;q=x"},
    {"hx-request": b"true"},
    {"x-csrf-token": b"\xff"},
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(console) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(console.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://console", timeout=60) as made:
        yield made


async def sign_in(console: Any, role: str) -> dict[str, str]:
    """Open a session without the price of a password; returns the headers that carry it."""
    if not role:
        return {}
    token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
    now = console.clock.wall_ms()
    async with console.database.transaction() as tx:
        await store.open_session(tx, _digest(token), role, csrf, now, now + 3_600_000)
    return {"cookie": f"{SESSION_COOKIE}={token}", "x-csrf-token": csrf}


def judge(route: str, sent: Any, answer: httpx.Response) -> None:
    said = f"{route} with {str(sent)[:300]} answered {answer.status_code}: {answer.text[:300]}"
    assert answer.status_code < 500, said
    assert answer.headers.get("location", "/").startswith("/"), said
    assert not answer.headers.get("location", "/").startswith(("//", "/\\")), said
    assert "x" not in answer.headers, said
    if answer.status_code >= 400 and answer.content:
        kind = answer.headers["content-type"].partition(";")[0]
        assert kind in ("text/html", "application/json", "application/problem+json"), said
        if kind.endswith("problem+json"):
            assert answer.json()["code"], said


async def test_the_list_is_what_is_served(console):
    pages = (route for route in console.app.routes if isinstance(route, APIRoute) and not route.include_in_schema)
    found = {f"{method} {page.path}" for page in pages for method in page.methods}
    assert {name for name in found if "/health/" not in name and name != "GET /metrics"} == set(ROUTES) | ENDLESS


@pytest.mark.parametrize("route", ROUTES)
async def test_no_field_is_a_fault_of_ours(console, client, route):
    role, path_fields, fields = ROUTES[route]
    method, path = route.split(" ")
    headers = await sign_in(console, role)

    async def send(place: dict[str, str], values: dict[str, str]) -> None:
        url = path
        for name, value in place.items():
            url = url.replace(f"{{{name}}}", quote(value, safe="") or "%20")
        if method == "GET":
            answer = await client.get(f"{url}?{urlencode(values)}", headers=headers)
        else:
            body = urlencode(values).encode()
            answer = await client.post(url, content=body, headers={**headers, "content-type": FORM})
        judge(route, (url, values), answer)

    fields = {**fields, **({"task": console.tasks[0]} if "task" in fields else {})}
    if "task_id" in path_fields:
        path_fields = {"task_id": console.tasks[0]}
    await send(path_fields, fields)
    for name, hurt in product(fields, HURTS[:2] if api_probe.EXAMPLES < api_probe.MANY else HURTS):
        await send(path_fields, {**fields, name: hurt})
    for name, hurt in product(path_fields, HURTS):
        await send({**path_fields, name: hurt}, fields)
    for hurt in HURTS:
        await send(path_fields, dict.fromkeys(fields, hurt))


@pytest.mark.parametrize("action", ["claim", "release", "fastlane", "approve", "undo", "reject"])
async def test_no_note_is_a_fault_of_ours(console, client, action):
    headers = {**await sign_in(console, "supervisor"), "content-type": FORM}
    for hurt, task in zip(HURTS, console.tasks, strict=False):
        fields = urlencode({"task": task, "note": hurt, "cite": "YW-2"}).encode()
        judge(action, hurt, await client.post(f"/act/{action}", content=fields, headers=headers))


@pytest.mark.parametrize("route", ROUTES)
async def test_no_octets_are_a_fault_of_ours(console, client, route):
    role, path_fields, _ = ROUTES[route]
    method, path = route.split(" ")
    headers: dict[str, Any] = await sign_in(console, role)
    url = path.format(**path_fields)
    for more in HEADERS:
        judge(route, more, await client.request(method, url, headers={**headers, **more}))
    judge(route, "query", await client.request(method, f"{url}?a=%ff&%00=%00&before=%ff&days=%ff", headers=headers))
    if method == "POST":
        for kind, octets in OCTETS:
            for who in (headers, {}):
                answer = await client.post(
                    url, content=octets, headers={**who, **({"content-type": kind} if kind else {})}
                )
                judge(route, (kind, octets[:80]), answer)


async def test_octets_no_client_sends(console):
    """A raw query is no ASCII, a host no host."""
    async with api_probe.serving(console.app) as address:
        host, _, port = address.removeprefix("http://").partition(":")
        for target, name in (
            (b"/login?next=\xff\xfe", b"x"),
            (b"/login?\xe9", b"["),
            (b"//[/login", b"]:99999"),
            (b"/queue", b""),
        ):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET %s HTTP/1.1\r\nhost: %s\r\nconnection: close\r\n\r\n" % (target, name))
            await writer.drain()
            status = int((await reader.readline()).split()[1])
            writer.close()
            await writer.wait_closed()
            assert status < 500, (target, name, status)
