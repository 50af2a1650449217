"""Bad input on an HTTP API: every documented operation, fed by schemathesis and by values chosen to hurt.

What is held against every answer: never 5xx; a status, a media type and a body the OpenAPI document names; every refusal a problem
document with a code we defined.  Deterministic: the same requests in every run (``GUANXIN_API_EXAMPLES`` makes more of them by hand).
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle, product
from typing import Any
from urllib.parse import quote

import pytest
import requests
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from servicekit import problems

EXAMPLES = int(os.environ.get("GUANXIN_API_EXAMPLES", "8"))
"""Requests per operation and way."""

MANY = 50
"""From so many examples on nobody waits for the run."""

MARKS = [
    pytest.mark.asyncio(loop_scope="module"),
    # schemathesis draws from `random` itself.
    pytest.mark.filterwarnings("ignore:Do not use the `random` module"),
]

WAYS = ("valid", "spoiled", "hostile")
"""As documented; breaking the schema in one place; keeping to it but for one value that no schema speaks of."""

_CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]

HURTS: tuple[Any, ...] = ("\0", "验\ud800证", "٣٤٥٦٧", "9" * 5_000, 2**63, 10**30, float("nan"), [], {"\ud800": "\0"})
"""Put in place of every single value."""

MORE_HURTS: tuple[Any, ...] = (
    "",
    " ",
    "²",
    "\U0010ffff",
    "１３８００１３８０００",
    "%00",
    "../../etc/passwd",
    "{x.__class__}",
    "' or 1=1 --",
    "\r\nset-cookie: a=b",
    "2026-02-30T25:61:61Z",
    "-0",
    "1e400",
    "0x10",
    "1_000",
    "x" * 70_000,
    -1,
    0,
    2**31,
    2**53 + 1,
    2**63 - 1,
    -(2**63) - 1,
    1e308,
    float("inf"),
    None,
    True,
    {},
    [[]],
    [None],
    {"": ""},
    [0] * 2_000,
)
"""Those too, in a run with many examples."""

BODIES = (
    b"",
    b"{",
    b"null",
    b"\xff\xfe",
    b"\0",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'"\\ud800"',
    b"9" * 5_000,
    b"NaN",
    b'{"to": "1", "to": "2"}',
    b"\xef\xbb\xbf{}",
)
MEDIA = (
    "",
    "text/plain",
    "application/json; charset=utf-16",
    "application/json; charset=nothing",
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
    ";",
)
HEADERS = (
    ("accept-language", "\xff;q=nan, zh;q=1e400, en;q=-1"),
    ("accept-language", "zh," * 500),
    ("accept", "text/nothing"),
    ("traceparent", "00-" + "\xe9" * 32 + "-1-01"),
    ("traceparent", "00-" + "0" * 32 + "-" + "0" * 16 + "-ff"),
    ("idempotency-key", "\xff\xfe"),
    ("idempotency-key", "k" * 5_000),
    ("referer", "http://["),
    ("host", "["),
    ("cookie", "gx_session=\xff; gx_lang=\xff; a"),
    ("x-forwarded-for", "\xff" * 100),
    ("guanxin-signature", "\xff" * 64),
    ("guanxin-timestamp", "²"),
    ("range", "bytes=5-1"),
)


@dataclass(frozen=True)
class Probed:
    """A service behind a real HTTP server.

    ``headers_of`` gives the headers that let an operation in; ``known`` gives real values of parameters and members of bodies, used in
    turn, so that requests get behind "not found".
    """

    address: str
    document: dict[str, Any]
    headers_of: Callable[[str], Mapping[str, str]]
    known: Mapping[str, Sequence[Any]] = field(default_factory=dict)


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """Serve the application, as no client library sends what a socket takes; yields its address."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(60):
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


def operations_of(document: dict[str, Any]) -> set[str]:
    """Return the documented operations as ``GET /path``."""
    return {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}


async def no_fault(probed: Probed, operation: str, way: str) -> None:
    """Send an operation requests of one way and hold every answer against the document."""
    found = _operation(probed, operation)
    mode = GenerationMode.NEGATIVE if way == "spoiled" else GenerationMode.POSITIVE
    if way == "spoiled" and not (found.definition.raw.get("parameters") or found.body):
        pytest.skip("it has nothing that could be spoiled")
    known = {name: cycle(values) for name, values in probed.known.items()}
    values = HURTS if EXAMPLES < MANY else HURTS + MORE_HURTS
    with requests.Session() as session:

        @_reproducible(max(1, EXAMPLES // 100) if way == "hostile" else EXAMPLES)
        @given(case=found.as_strategy(generation_mode=mode))
        def run(case: Any) -> None:
            headers = {**_without_token(case.headers or {}), **probed.headers_of(operation)}
            if way != "spoiled":
                _make_real(case, known)
            request = {**case.as_transport_kwargs(base_url=probed.address)}
            request["headers"] = {**_without_token(request.get("headers") or {}), **headers}
            for each in _hurt(case, request, values) if way == "hostile" else (request,):
                _answered(session, operation, case, each)

        await asyncio.to_thread(run)


def _make_real(case: Any, known: Mapping[str, Iterator[Any]]) -> None:
    for place in (case.path_parameters, case.query, case.body):
        if isinstance(place, dict):
            place.update({name: next(known[name]) for name in place.keys() & known.keys()})


async def no_stranger(probed: Probed, operation: str) -> None:
    """Send a valid request without a token and with wrong ones: refused wherever the document says that a token is needed."""
    found = _operation(probed, operation)
    guarded = found.definition.raw.get("security", probed.document.get("security"))
    wrong = ("", "Bearer", "Bearer ", "Bearer \xff\xfe", "Basic eDp4", "Bearer " + "x" * 5_000, "bearer null")

    @_reproducible(1)
    @given(case=found.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def run(case: Any) -> None:
        request = {**case.as_transport_kwargs(base_url=probed.address)}
        bare = _without_token(request.get("headers") or {})
        for token in wrong:
            request["headers"] = {**bare, "authorization": token} if token else bare
            status = _answered(requests, operation, case, request)
            assert status == 401 if guarded else status < 400, f"{operation} answered a stranger {status}"

    await asyncio.to_thread(run)


def _operation(probed: Probed, operation: str) -> Any:
    method, path = operation.split(" ")
    schema = schemathesis.openapi.from_dict(probed.document)
    schema.config.base_url = probed.address
    return schema[path][method]


def _answered(session: Any, operation: str, case: Any, request: dict[str, Any]) -> int:
    answer = session.request(**{**request, "headers": _latin(request["headers"])}, timeout=60, allow_redirects=False)
    if answer.content != _NO_HTTP:
        judge(operation, answer)
        case.validate_response(answer, checks=_CHECKS)
    return int(answer.status_code)


_NO_HTTP = b"Invalid HTTP request received."
"""What is no HTTP at all the server refuses itself, before us."""


def _reproducible(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def judge(operation: str, answer: requests.Response) -> None:
    """Hold an answer against what goes for every operation: no fault of ours, no redirect, refusals as problem documents."""
    status, headers, said = answer.status_code, answer.headers, answer.text[:500]
    assert status < 500, f"{operation} answered {status}: {said}"
    assert not 300 <= status < 400, f"{operation} answered {status} to {headers.get('location')}"
    if status < 400:
        return
    assert headers["content-type"] == problems.MEDIA_TYPE, f"{operation} answered {status} as {headers['content-type']}"
    document = answer.json()
    kinds = {kind.code: kind for kind in problems.defined()}
    assert document["code"] in kinds, said
    assert document["status"] == status == kinds[document["code"]].status, said
    assert document["type"] == f"urn:guanxin:problem:{document['code']}", said
    assert document["title"], said
    assert headers["content-language"] in ("zh-CN", "en")


def _hurt(case: Any, given_: dict[str, Any], values: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Yield the request of a valid case over and over, each time with one thing in it that hurts."""
    base = case.operation.schema.config.base_url
    texts = [value if isinstance(value, str) else json.dumps(value) for value in values]
    for name, text in HEADERS:
        yield {**given_, "headers": {**given_["headers"], name: text}}
    for name, text in product(sorted(case.path_parameters or {}), texts):
        filled = {key: quote(str(value), safe="") for key, value in case.path_parameters.items()}
        filled[name] = quote(text[:4_000].encode("utf-8", "surrogatepass")) or "%20"
        yield {**given_, "url": base + case.operation.path.format(**filled)}
    for name, text in product([parameter.name for parameter in case.operation.query], [*texts, b"\xff\xfe"]):
        octets = text if isinstance(text, bytes) else text[:4_000].encode("utf-8", "surrogatepass")
        yield {**given_, "params": {**(given_.get("params") or {}), name: octets}}
    if case.operation.body:
        yield from _hurt_body(case, given_, values)


def _hurt_body(case: Any, given_: dict[str, Any], values: Sequence[Any]) -> Iterator[dict[str, Any]]:
    rest = {key: value for key, value in given_.items() if key not in ("json", "data", "files")}
    for octets, media in [*((octets, "application/json") for octets in BODIES), *((b"{}", media) for media in MEDIA)]:
        yield {**rest, "data": octets, "headers": {**given_["headers"], "content-type": media}}
    members = _members(case)
    body = given_.get("json")
    if not isinstance(body, dict | list):
        if not members:
            return
        body = {}
    headers = {**given_["headers"], "content-type": "application/json"}
    places = dict.fromkeys([*_places(body), *((name,) for name in members if isinstance(body, dict))])
    for place, value in product(list(places)[:40], values):
        yield {**rest, "data": json.dumps(_with(body, place, value)).encode(), "headers": headers}


def _members(case: Any) -> list[str]:
    """Return the names of the body's members, those that may be left out too."""
    document = case.operation.schema.raw_schema
    content = case.operation.definition.raw["requestBody"]["content"]
    schemas = [media["schema"] for media in content.values()]
    for schema in schemas:
        schemas += schema.get("anyOf", ())
        if "$ref" in schema:
            schemas.append(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    return [name for schema in schemas for name in schema.get("properties", ())]


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value, the whole first."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        yield from _places(child, (*path, name))


def _with(body: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    made = copy.copy(body)
    made[place[0]] = _with(body[place[0]], place[1:], value) if len(place) > 1 else value
    return made


def _without_token(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items() if name.lower() != "authorization"}


def _latin(headers: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.encode("latin-1") if isinstance(value, str) else value for name, value in headers.items()}
