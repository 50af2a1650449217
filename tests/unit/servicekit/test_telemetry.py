from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision

from servicekit import telemetry
from servicekit.settings import ServiceSettings
from servicekit.telemetry import (
    RateLimited,
    SpanFile,
    begin,
    is_sampled,
    mask,
    parse_traceparent,
    redact,
    traceparent_of,
    unfollowed,
)


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("13800138000", "138****8000"),
        (8613800138000, "138****8000"),
        ("+8613800138000", "138****8000"),
        ("02087654321", "020****4321"),
        ("10086", "***86"),
        ("1", "**"),
    ],
)
def test_mask(number, shown):
    assert mask(number) == shown


def test_redaction_leaves_no_number_content_or_secret():
    line = redact(
        None,
        "",
        {
            "event": "sent to 13912345678 and +8613912345679",
            "chunk_id": "0190a1391234567890abcdef01234567",
            "recipients": [8613912345678],
            "number": "13912345678",
            "text": "您的验证码是 8888",
            "password": "hunter2",
            "webhook_secret": "hunter3",
            "count": 13912345678,
            "n": 500,
            "flag": True,
            "reason": "8613912345678 refused",
        },
    )
    flat = json.dumps(line, ensure_ascii=False)
    assert "1234567" not in flat.replace("0190a1391234567890abcdef01234567", "").replace("0abcdef01234567", "")
    for secret in ("hunter", "验证码", "12345678"):
        assert secret not in flat.replace(line["chunk_id"], "")
    assert line["chunk_id"] == "0190a1391234567890abcdef01234567"
    assert (line["n"], line["flag"], line["recipients"]) == (500, True, ["139****5678"])


@pytest.fixture
def _logging():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.usefixtures("_logging")
def test_lines_are_json_with_service_instance_and_trace(capsys):
    telemetry.setup_logging("ingest", "ingest-1", "info")
    provider = TracerProvider()
    with provider.get_tracer("t").start_as_current_span("s") as current:
        structlog.get_logger().info("chunk_accepted", chunk_id="c", number="13912345678")
        logging.getLogger("third.party").warning("called 13912345678")
        structlog.get_logger().debug("not shown")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["chunk_accepted", "called 139****5678"]
    assert lines[0]["number"] == "139****5678"
    for line in lines:
        assert (line["service"], line["instance"]) == ("ingest", "ingest-1")
        assert line["trace_id"] == f"{current.get_span_context().trace_id:032x}"


@pytest.mark.usefixtures("_logging")
def test_a_traceback_is_logged_without_details_of_the_database(capsys):
    telemetry.setup_logging("ingest", "ingest-1", "info")
    # Put together elsewhere: a traceback shows the source line that raises.
    message = "bad row\nDETAIL:  Failing row contains (您的验证码, 13912345678)."
    try:
        raise ValueError(message)
    except ValueError as error:
        structlog.get_logger().error("failed", exc_info=error)
    out = capsys.readouterr().out
    out += telemetry.fault_text(ValueError(message))
    assert "ValueError" in out
    assert "bad row" in out
    assert "验证码" not in out
    assert "13912345678" not in out


def test_traceparent_is_parsed_strictly():
    good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert parse_traceparent(good) is not None
    for bad in ("", "x", good + "\n", good.upper(), "00-" + "0" * 32 + "-b7ad6b7169203331-01", good[:-3]):
        assert parse_traceparent(bad) is None


def test_traces_begin_at_a_bounded_rate(monkeypatch):
    now = 100.0
    monkeypatch.setattr(telemetry.time, "monotonic", lambda: now)
    sampler = RateLimited(5)

    def sampled(count):
        return sum(sampler.should_sample(None, 1, "n").decision is Decision.RECORD_AND_SAMPLE for _ in range(count))

    assert sampled(20) == 5
    now += 0.4
    assert sampled(20) == 2
    now += 60
    assert sampled(20) == 5


def test_spans_become_lines_of_a_bounded_file(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(telemetry, "MAX_TRACE_FILE_OCTETS", 2_000)
    path = tmp_path / "sub" / "spans.jsonl"
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(SpanFile(path)))
    for n in range(20):
        with provider.get_tracer("t").start_as_current_span(f"span {n}"):
            pass
    provider.shutdown()
    older = path.with_name("spans.jsonl.1")
    assert path.stat().st_size < 3_000
    lines = [json.loads(x) for x in (older.read_text() + path.read_text()).splitlines()]
    assert lines[-1]["name"] == "span 19"
    assert lines[-1]["end_ns"] >= lines[-1]["start_ns"]


def test_the_current_span_is_written_and_read_back():
    provider = TracerProvider()
    with provider.get_tracer("t").start_as_current_span("s") as current:
        text = telemetry.current_traceparent()
        assert parse_traceparent(text).span_id == current.get_span_context().span_id
    assert telemetry.current_traceparent() == ""


@pytest.mark.parametrize(
    ("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True), ("ff", True), ("0e", False)]
)
def test_sampled_is_the_lowest_bit_whatever_is_set_beside_it(flags, sampled):
    assert is_sampled(f"00-{'a' * 32}-{'b' * 16}-{flags}") is sampled


def test_no_traceparent_is_not_sampled():
    assert not is_sampled("")


@pytest.mark.parametrize(("flags", "left"), [("01", "00"), ("03", "02"), ("00", "00"), ("0b", "0a")])
def test_a_trace_is_followed_no_further(flags, left):
    head = f"00-{'a' * 32}-{'b' * 16}-"
    assert unfollowed(head + flags) == head + left


def test_no_trace_stays_none():
    assert unfollowed("") == ""


def test_a_span_that_was_never_ended_is_never_exported(tmp_path, monkeypatch):
    path = tmp_path / "spans.jsonl"
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(SpanFile(path)))
    monkeypatch.setattr(telemetry, "tracer", lambda: provider.get_tracer("t"))
    parent = f"00-{'a' * 32}-{'b' * 16}-01"
    durable, lost = begin("receipt", parent, segments=3), begin("receipt", parent)
    durable.end()
    (line,) = map(json.loads, path.read_text().splitlines())
    assert (line["trace_id"], line["parent_id"], line["attributes"]) == ("a" * 32, "b" * 16, {"segments": 3})
    assert line["span_id"] == traceparent_of(durable).split("-")[2] != traceparent_of(lost).split("-")[2]


@pytest.mark.parametrize("exported", [True, False])
def test_without_an_exporter_no_trace_is_begun_and_a_followed_one_goes_on(tmp_path, monkeypatch, exported):
    providers = []
    monkeypatch.setattr(telemetry.trace, "set_tracer_provider", providers.append)
    monkeypatch.setattr(telemetry, "setup_logging", lambda *_: None)
    telemetry.setup(ServiceSettings(service="example", trace_file=tmp_path / "spans.jsonl" if exported else None))
    monkeypatch.setattr(telemetry, "tracer", lambda: providers[0].get_tracer("t"))
    fresh = begin("request", "")
    assert fresh.is_recording() is exported
    assert is_sampled(traceparent_of(fresh)) is exported, "the log still gets its trace id"
    assert begin("request", f"00-{'a' * 32}-{'b' * 16}-01").is_recording()
    providers[0].shutdown()
