"""libwbxml's xml2wbxml and wbxml2xml read what we write and write what we read."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wappush import Indication, Loading, from_tree, from_xml, to_tree, to_xml
from wappush.documents import Document
from wappush.wbxml import decode, encode

pytestmark = pytest.mark.skipif(
    shutil.which("xml2wbxml") is None, reason="libwbxml is not installed (Debian: libwbxml2-utils)"
)

# libwbxml folds white space inside texts and drops it at their ends, so texts here have single spaces between words.
WORDS = st.lists(st.text(alphabet="abcXYZ019短信&<>\"'.,-", min_size=1, max_size=8), min_size=1, max_size=3).map(
    " ".join
)
PIECES = st.sampled_from(["example", ".com/", ".net/", ".org/", ".edu/", "a", "?x=1&y=2", ".cn"])
URLS = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["http://", "https://", "http://www.", "https://www.", "ftp://", ""]),
        st.lists(PIECES, min_size=1, max_size=5).map("".join),
    ),
)  # fmt: skip
DATES = st.sampled_from(
    [
        "2030-01-02T03:04:00Z",
        "2030-02-01T00:00:00Z",
        "2030-10-20T10:20:30Z",
        "2000-01-01T00:00:00Z",
        "2029-12-31T23:59:59Z",
    ]
)
DOCUMENTS = st.one_of(
    st.builds(
        Indication,
        text=WORDS,
        href=URLS,
        si_id=WORDS,
        action=st.sampled_from(["signal-none", "signal-low", "signal-medium", "signal-high", "delete"]),
        created=DATES,
        si_expires=DATES,
    ),
    st.builds(Loading, href=URLS, action=st.sampled_from(["execute-low", "execute-high", "cache"])),
)
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def run(tool: str, arguments: list[str], data: bytes, folder: Path) -> bytes:
    source, target = folder / "in", folder / "out"
    source.write_bytes(data)
    target.unlink(missing_ok=True)
    done = subprocess.run(
        [tool, *arguments, "-o", str(target), str(source)], capture_output=True, timeout=20, check=False
    )
    assert done.returncode == 0, (done.stderr, data)
    return target.read_bytes()


@FEW
@given(DOCUMENTS, st.sampled_from([("1.1", 1), ("1.2", 2), ("1.3", 3)]))
def our_octets_are_those_of_xml2wbxml(tmp_path: Path, document: Document, version: tuple[str, int]) -> None:
    theirs = run("xml2wbxml", ["-n", "-v", version[0]], to_xml(document), tmp_path)
    assert encode(to_tree(document), version[1]) == theirs


@FEW
@given(DOCUMENTS)
def we_read_what_xml2wbxml_writes_with_a_string_table(tmp_path: Path, document: Document) -> None:
    theirs = run("xml2wbxml", ["-v", "1.3"], to_xml(document), tmp_path)
    assert from_tree(decode(theirs).root) == document


@FEW
@given(DOCUMENTS)
def wbxml2xml_reads_what_we_write(tmp_path: Path, document: Document) -> None:
    theirs = run("wbxml2xml", ["-m", "0"], encode(to_tree(document)), tmp_path)
    assert from_xml(theirs) == document


def test_our_octets_are_those_of_xml2wbxml(tmp_path: Path, shown) -> None:
    our_octets_are_those_of_xml2wbxml(tmp_path)
    shown("wappush", "writer", "SI and SL, the same octets, WBXML 1.1 to 1.3")


def test_we_read_what_xml2wbxml_writes(tmp_path: Path, shown) -> None:
    we_read_what_xml2wbxml_writes_with_a_string_table(tmp_path)
    shown("wappush", "reader", "SI and SL, with a string table")


def test_wbxml2xml_reads_what_we_write(tmp_path: Path, shown) -> None:
    wbxml2xml_reads_what_we_write(tmp_path)
    shown("wappush", "writer", "SI and SL")
