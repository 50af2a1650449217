"""Every command: help with an example in both languages, and the exit codes of wrong use and of an absent platform."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from guanxin.main import COMMANDS

ABSENT = "http://127.0.0.1:9"  # nobody listens on the discard port


def guanxin(
    *arguments: str, stdin: str = "", language: str = "en", **environment: str
) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GUANXIN_")}
    return subprocess.run(
        [sys.executable, "-c", "from guanxin.main import main; main()", *arguments],
        env={
            **kept,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "GUANXIN_LANG": language,
            "COLUMNS": "200",
            **environment,
        },
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_overview_names_every_command(language) -> None:
    done = guanxin(language=language)
    assert done.returncode == 0
    assert all(f"  {name} " in done.stdout for name in COMMANDS)
    assert ("用法" in done.stdout) is (language == "zh")


HELPS = """
import contextlib, io, json
from guanxin.main import COMMANDS, run
found = {}
for name in COMMANDS:
    with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
        run([name, "--help"])
    found[name] = shown.getvalue()
print(json.dumps(found))
"""


@pytest.mark.parametrize(("language", "word"), [("en", "Example:"), ("zh", "例：")])
def test_every_help_has_an_example_in_the_operators_language(language, word) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "GUANXIN_LANG": language, "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-c", HELPS], env=environment, capture_output=True, text=True, check=True, timeout=100
    )
    helps = json.loads(done.stdout)
    assert set(helps) == set(COMMANDS)
    assert [name for name, text in helps.items() if word not in text] == []


def test_no_such_command_is_wrong_use() -> None:
    assert guanxin("fly").returncode == 2


def test_decode_and_encode_are_inverse_line_by_line() -> None:
    lines = "00000010000000150000000000000001\n00000010800000150000000000000001\n"
    decoded = guanxin("decode", "--dialect", "smpp34", stdin=lines)
    assert [json.loads(line)["command"] for line in decoded.stdout.splitlines()] == [
        "enquire_link",
        "enquire_link_resp",
    ]
    assert guanxin("encode", "--dialect", "smpp34", stdin=decoded.stdout).stdout == lines


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("decode", "-d", "smpp34", "0000001000000015000000000000"), "octet"),
        (("decode", "-d", "smpp34", "xyz"), "hexadecimal"),
        (("decode", "-d", "morse", "00"), "smpp34"),
        (("encode", "-d", "smpp34", "[]"), "object"),
        (("encode", "-d", "smpp34", '{"command": "fly"}'), "fly"),
        (("segments", "--text", "x", "--price", "much"), "decimal"),
        (("route", "--to", "1", "--at", "soon"), "soon"),
        (("dlq", "list", "-s", "nobody"), "nobody"),
    ],
)
def test_malformed_input_is_exit_2_with_the_reason(arguments, said) -> None:
    done = guanxin(*arguments, GUANXIN_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9")
    assert (done.returncode, done.stdout) == (2, "") or (done.returncode == 3 and arguments[0] == "dlq")
    assert said in done.stderr or done.returncode == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("send", "--port", "95598", "--to", "13800138000", "--text", "x"),
        ("task", "show", "0" * 32),
        ("message", "show", "0" * 32 + "-0"),
        ("ledger", "--no-carrier"),
        ("screen", "x"),
        ("review", "list"),
        ("links",),
        ("files", "list"),
        ("topics",),
    ],
)
def test_an_absent_platform_is_exit_3(arguments) -> None:
    names = ("API", "SPAMFILTER", "REVIEW", "DISPATCH", "BILLING_SYNC")
    addresses = {f"GUANXIN_{name}_URL": ABSENT for name in names}
    done = guanxin(
        *arguments, GUANXIN_API_KEY="gx_x", GUANXIN_OPERATOR_TOKEN="x", GUANXIN_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9",
        **addresses,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert done.stdout == ""


def test_segments_as_json_without_a_platform() -> None:
    done = guanxin("segments", "--text", "您" * 71, "--price", "0.05", "--json")
    document = json.loads(done.stdout)
    assert (document["segments"], document["alphabet"], document["price"]["total"]) == (2, "ucs2", "0.10")
    assert "".join(part["text"] for part in document["parts"]) == "您" * 71
