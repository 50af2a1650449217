"""How the benchmarks turn what they saw into figures."""

from __future__ import annotations

from pathlib import Path

import pytest
from backlog import Watch
from gateways.gateway import Case
from gateways.programs import Failed
from gateways.report import TITLE, section, table, write
from gateways.trial import Result, Run
from httpload import answer
from recovery import normal_after


def flow(seconds: float, count) -> list[tuple[float, int]]:
    return [(step / 10, int(count(step / 10))) for step in range(int(seconds * 10))]


def test_an_even_flow_has_nothing_to_recover_from():
    assert normal_after(flow(10, lambda t: 1000 * t), 5.0, 1000) == 0.0


def test_recovery_counts_to_the_end_of_the_last_slow_second():
    def count(t: float) -> float:
        return 1000 * t if t < 5.3 else 5300 if t < 7.3 else min(1000 * t, 5300 + 3000 * (t - 7.3))

    after = normal_after(flow(14, count), 5.0, 1000)
    assert after is not None
    assert 2.3 <= after <= 2.7


@pytest.mark.parametrize("seconds", [5.0, 7.0, 8.5])
def test_recovery_is_not_known_before_the_flow_has_held(seconds: float):
    assert normal_after(flow(seconds, lambda t: 1000 * min(t, 5.2)), 5.0, 1000) is None


@pytest.mark.parametrize(
    ("octets", "found"),
    [
        (b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok", (202, b"ok", True)),
        (b"HTTP/1.1 202 Accepted\r\ncontent-length: 3\r\n\r\nok", None),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            (200, b"abcde", True),
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", None),
        (b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", (503, b"", False)),
        (b"HTTP/1.1 200", None),
    ],
)
def test_answers_are_read_when_they_are_whole(octets: bytes, found):
    assert answer(octets) == found


def test_full_speed_is_reached_at_the_end_of_the_first_second_that_has_it():
    watch = Watch(Path(), "")
    watch.submits = flow(20, lambda t: 0 if t < 4 else min(10_000, 1000 * (t - 4)))
    moment, speed = watch.full_speed(10_000)
    assert speed == pytest.approx(1000, rel=0.02)
    assert moment == pytest.approx(4.8, abs=0.2)


def test_a_backlog_too_small_to_see_is_said_to_be_so():
    watch = Watch(Path(), "")
    watch.submits = [(0.0, 0), (0.2, 1_000)]
    with pytest.raises(Failed, match="more messages"):
        watch.full_speed(1_000)


def made(name: str, rate: float, *, killed: Run | None = None) -> Result:
    return Result(Case(name, "how", survives="nothing"), [run(rate)], killed)


def run(rate: float, **changes) -> Run:
    figures = {
        "messages": 1000, "accepted_rate": rate, "submitted_rate": rate, "told_rate": rate, "accept_p50_ms": 1.0,
        "accept_p99_ms": 2.0, "submits": 1000, "lost": 0, "duplicated": 0, "receipts": 1000, "untold": 0, "repeated": {},
        "cpu_us": {"own": 40.0, "carrier": 20.0},
    }  # fmt: skip
    return Run(**{**figures, **changes})


def test_ratios_are_ours_over_theirs():
    results = [made("guanxin", 4_000), made("kannel-memory", 5_000), made("jasmin", 200)]
    lines = table(results).splitlines()
    assert "0.80" in lines[2]
    assert "20.00" in lines[3]


def test_the_carriers_cpu_is_nobodys():
    assert " 40 " in table([made("guanxin", 4_000)])


def test_the_section_is_written_in_place_of_the_former_one(tmp_path: Path):
    document = tmp_path / "performance.md"
    document.write_text(
        f"# Performance\n\nfirst\n\n{TITLE}\n\nthe former one\n\n## Another\n\nkept\n", encoding="utf-8"
    )
    write(document, section([made("guanxin", 4_000, killed=run(1_000, lost=7))]))
    text = document.read_text(encoding="utf-8")
    assert "the former one" not in text
    assert (
        text.index("first")
        < text.index(TITLE)
        < text.index("| guanxin | nothing | 1,000 | 7 |")
        < text.index("## Another")
    )
    assert text.count(TITLE) == 1
    assert text.endswith("kept\n")


def test_the_section_is_added_where_there_was_none(tmp_path: Path):
    document = tmp_path / "performance.md"
    document.write_text("# Performance\n\nfirst\n", encoding="utf-8")
    write(document, section([made("guanxin", 4_000)]))
    assert document.read_text(encoding="utf-8").startswith(f"# Performance\n\nfirst\n\n{TITLE}\n")
