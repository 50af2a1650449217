"""The shared HTTP application: problems in two languages, bounds, health, metrics."""

from __future__ import annotations

import asyncio
from typing import Annotated

import httpx
import pytest
from fastapi import Query
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel, Field, field_validator

from servicekit import metrics, problems
from servicekit.database import DatabaseUnavailable
from servicekit.health import Health
from servicekit.lifecycle import Runtime
from servicekit.settings import ServiceSettings
from servicekit.web import build_app

TAKEN = problems.define("test.taken", 409, "已被占用", "Taken already")


class Body(BaseModel):
    name: str = Field(min_length=2, max_length=5)
    count: int = Field(default=1, ge=1)

    @field_validator("name")
    @classmethod
    def _no_digits(cls, value: str) -> str:
        if value.isdigit():
            raise ValueError("不能全是数字 / must not be all digits")
        return value


@pytest.fixture
async def runtime():
    return Runtime(ServiceSettings(service="example"))


@pytest.fixture
async def client(runtime):
    app = build_app(runtime, title="Example", max_body_octets=1_000)

    @app.post("/things/{thing}")
    async def make(thing: str, body: Body, limit: Annotated[int, Query(le=9)] = 1) -> dict[str, str]:
        if thing == "taken":
            raise problems.Problem(TAKEN, zh="换一个名字", en="choose another name", thing=thing)
        if thing == "fault":
            raise ZeroDivisionError("13912345678")
        if thing == "outage":
            raise DatabaseUnavailable("gone")
        return {"name": body.name}

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as made:
        yield made


async def test_a_problem_speaks_the_caller_s_language(client):
    answer = await client.post("/things/taken", json={"name": "abc"}, headers={"accept-language": "en-GB,zh;q=0.5"})
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-language"] == "en"
    assert answer.json() == {
        "type": "urn:guanxin:problem:test.taken",
        "title": "Taken already",
        "status": 409,
        "code": "test.taken",
        "detail": "choose another name",
        "thing": "taken",
    }
    answer = await client.post("/things/taken", json={"name": "abc"})
    assert (answer.json()["title"], answer.json()["detail"]) == ("已被占用", "换一个名字")


async def test_invalid_fields_are_named_with_reasons_and_never_quoted(client):
    answer = await client.post("/things/a?limit=99", json={"name": "x" * 80, "count": 0})
    body = answer.json()
    assert answer.status_code == 422
    assert body["code"] == "request.invalid"
    assert {(e["field"], e["code"]) for e in body["errors"]} == {
        ("limit", "less_than_equal"),
        ("name", "string_too_long"),
        ("count", "greater_than_equal"),
    }
    assert "最多 5 个字符" in body["detail"]
    assert "xxxx" not in answer.text
    english = (await client.post("/things/a", json={"name": "123"}, headers={"accept-language": "en"})).json()
    assert english["errors"][0]["en"] == "must not be all digits"
    assert english["errors"][0]["zh"] == "不能全是数字"


@pytest.mark.parametrize(
    ("thing", "status", "code"),
    [("fault", 500, "server.error"), ("outage", 503, "server.unavailable")],
)
async def test_our_faults_say_nothing_of_the_inside(client, thing, status, code):
    answer = await client.post(f"/things/{thing}", json={"name": "abc"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "13912345678" not in answer.text
    assert "gone" not in answer.text


async def test_the_framework_s_own_refusals_are_problems_too(client):
    for method, path, status, code in (
        ("GET", "/nowhere", 404, "resource.not_found"),
        ("GET", "/things/a", 405, "request.method_not_allowed"),
    ):
        answer = await client.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    answer = await client.post("/things/a", content=b"{", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "request.malformed")


async def test_a_body_is_bounded_by_announcement_and_by_count(client):
    answer = await client.post("/things/a", json={"name": "x" * 2_000})
    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")

    async def endless():
        for _ in range(100):
            yield b" " * 100

    answer = await client.post("/things/a", content=endless(), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")


async def test_readiness_asks_every_check_and_says_which_is_not_well(client, runtime):
    assert (await client.get("/health/live")).json() == {"status": "live"}
    assert (await client.get("/health/ready")).status_code == 503, "not started yet"
    runtime.health.started()
    assert (await client.get("/health/ready")).status_code == 200
    well = None

    async def probe():
        return well

    runtime.health.check("broker", probe)
    assert (await client.get("/health/ready")).json()["checks"] == {"broker": None}
    well = "silent for 12 s"
    answer = await client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"broker": "silent for 12 s"}
    runtime.health.stopping()
    assert "stop" in (await client.get("/health/ready")).json()["checks"]


async def test_a_check_that_fails_or_hangs_is_not_well(monkeypatch):
    monkeypatch.setattr("servicekit.health.PROBE_TIMEOUT_S", 0.01)
    health = Health()
    health.started()

    async def failing():
        raise ZeroDivisionError

    async def hanging():
        await asyncio.Event().wait()

    health.check("failing", failing)
    health.check("hanging", hanging)
    report = await health.report()
    assert not report.ready
    assert report.checks == {"failing": "check failed: ZeroDivisionError", "hanging": "no answer within 0.01 s"}
    with pytest.raises(ValueError, match="twice"):
        health.check("failing", failing)


async def test_every_declared_metric_is_exposed_and_every_one_of_ours_declared(client):
    metrics.load()
    await client.post("/things/a", json={"name": "abc"})
    text = (await client.get("/metrics")).text
    typed = dict(line.split()[2:4] for line in text.splitlines() if line.startswith("# TYPE guanxin_"))
    # prometheus_client also shows a `_created` gauge beside each counter and histogram.
    exposed = {name: kind for name, kind in typed.items() if not name.endswith("_created")}
    declared = {d.name: d.kind for d in metrics.declared()}
    assert exposed == declared
    assert 'route="/things/{thing}"' in text
    assert "| `guanxin_bus_lag_records` | gauge | records |" in metrics.table(metrics.declared())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("guanxin_x_y", "u", "m"), "_total"),
        (("other_x_total", "u", "m"), "not a metric name"),
        (("guanxin_x_a_total", "", "m"), "unit"),
        (("guanxin_x_b_total", "u", "m", ("Bad-Label",)), "label"),
    ],
)
def test_a_metric_must_be_declared_in_full(arguments, complaint):
    from prometheus_client import CollectorRegistry

    with pytest.raises(ValueError, match=complaint):
        metrics.counter(*arguments, registry=CollectorRegistry())


def test_problem_codes_are_unique():
    assert problems.define("test.taken", 409, "已被占用", "Taken already") is not None
    with pytest.raises(ValueError, match="twice"):
        problems.define("test.taken", 410, "已被占用", "Taken already")
    assert TAKEN in problems.defined()


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "zh"),
        ("en", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-US,en;q=0.9,zh;q=0.8", "en"),
        ("fr", "zh"),
        ("en;q=x,zh;q=0.1", "zh"),
        ("," * 1000, "zh"),
    ],
)
def test_language(header, language):
    assert problems.language_of(header) == language


async def test_a_request_has_one_span_without_its_path_query_or_fault(client, monkeypatch):
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    # Wherever spans come from, the framework included.
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    await client.get("/health/live")
    assert exporter.get_finished_spans() == ()
    await client.post("/things/13912345678?limit=5&to=13912345678", json={"name": "abc"})
    await client.post("/things/13912345678?limit=10", json={"name": "13912345678"})
    await client.post("/things/fault", json={"name": "abc"})
    spans = exporter.get_finished_spans()
    assert [span.name for span in spans] == ["POST /things/{thing}"] * 3
    assert [span.attributes["http.response.status_code"] for span in spans] == [200, 422, 500]
    assert "13912345678" not in "".join(span.to_json() for span in spans)


async def test_the_document_names_every_refusal_as_a_problem(client):
    document = (await client.get("/openapi.json")).json()
    responses = document["paths"]["/things/{thing}"]["post"]["responses"]
    assert set(responses) == {"200", "400", "404", "413", "422", "503"}
    for status in set(responses) - {"200"}:
        assert list(responses[status]["content"]) == ["application/problem+json"]
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert (await client.get("/docs")).status_code == 404, "the pages would load scripts from foreign networks"
