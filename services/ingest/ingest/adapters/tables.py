"""Recipients from an uploaded file: CSV, TXT or XLSX, read row by row with every size bounded.

A header row names the columns; the number's column is the one called `to`, `number`, `手机号` or alike, every other may be a variable.
Without a header the first column is the number.  Runs in the composer's process, never in the event loop.
"""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ingest.domain.refusal import Refused

if TYPE_CHECKING:
    from openpyxl import Workbook

NUMBER_COLUMNS = frozenset(
    {"to", "number", "phone", "mobile", "msisdn", "recipient", "手机号", "手机号码", "号码", "电话", "电话号码", "手机"}
)
MAX_COLUMNS = 50
MAX_CELL = 2_000
MAX_UNPACKED = 2 << 30
"""Octets an XLSX may unpack to: a million rows with some columns are some 100 MB; above this it is a bomb."""
_DAMAGED = (
    zipfile.BadZipFile, KeyError, ValueError, IndexError, EOFError, NotImplementedError, zlib.error,
    # What the XML parser's ParseError is.
    SyntaxError,
)  # fmt: skip
"""Whatever openpyxl and the libraries below it raise for a file that is not what it claims to be."""
_SAMPLE = 64 * 1024
_DELIMITERS = (",", "\t", ";", "|")


def read(
    path: Path, name: str, names: Sequence[str], max_rows: int
) -> tuple[list[str], list[list[str]], dict[int, str]]:
    """Return (numbers, rows of values in the order of ``names``, {index: reason}).

    Raises `Refused`: `file_invalid` with the line, or `too_large` for more than ``max_rows``.
    """
    kind = name.rpartition(".")[2].lower()
    if kind in ("csv", "txt"):
        return _recipients(_text_rows(path), names, max_rows)
    if kind == "xlsx":
        return _recipients(_sheet_rows(path), names, max_rows)
    raise _invalid("文件须为 .csv、.txt 或 .xlsx", "The file must be .csv, .txt or .xlsx")


def _invalid(zh: str, en: str) -> Refused:
    return Refused("file_invalid", {"reason": f"{zh} / {en}"})


def _recipients(
    rows: Iterator[list[str]], names: Sequence[str], max_rows: int
) -> tuple[list[str], list[list[str]], dict[int, str]]:
    first = next(rows, None)
    if first is None:
        raise _invalid("文件没有任何行", "The file has no rows")
    titles = [cell.strip().lstrip("\ufeff") for cell in first]
    column = next((i for i, title in enumerate(titles) if title.lower() in NUMBER_COLUMNS), None)
    if column is None:
        if names:
            raise _invalid(
                "模板有变量，文件首行须为列名，且有一列名为 to 或 手机号",
                "The template has variables: the first row must name the columns, one of them `to`",
            )
        return _numbers(chain([first], rows), 0, max_rows), [], {}
    missing = [name for name in names if name not in titles]
    if missing:
        raise _invalid(f"缺少列 {missing[0]}", f"There is no column {missing[0]}")
    if not names:
        return _numbers(rows, column, max_rows), [], {}
    return _with_values(rows, column, [titles.index(name) for name in names], max_rows)


def _numbers(rows: Iterable[list[str]], column: int, max_rows: int) -> list[str]:
    numbers = [row[column].strip() if column < len(row) else "" for row in _counted(rows, max_rows)]
    if not numbers:
        raise _invalid("文件没有号码", "The file has no recipients")
    return numbers


def _with_values(
    rows: Iterable[list[str]], column: int, columns: Sequence[int], max_rows: int
) -> tuple[list[str], list[list[str]], dict[int, str]]:
    numbers: list[str] = []
    values: list[list[str]] = []
    faults: dict[int, str] = {}
    need = max([column, *columns])
    for given in _counted(rows, max_rows):
        row = given
        if len(row) <= need:
            faults[len(numbers)] = "variable_missing"
            row = [*given, *[""] * (need + 1 - len(given))]
        numbers.append(row[column].strip())
        values.append([row[each] for each in columns])
    if not numbers:
        raise _invalid("文件没有号码", "The file has no recipients")
    return numbers, values, faults


def _counted(rows: Iterable[list[str]], max_rows: int) -> Iterator[list[str]]:
    for count, row in enumerate(rows, 1):
        if count > max_rows:
            raise Refused("too_large", {"most_rows": max_rows})
        yield row


def _text_rows(path: Path) -> Iterator[list[str]]:
    with path.open("rb") as stream:
        sample = stream.read(_SAMPLE)
    encoding = _encoding(sample)
    head = sample.decode(encoding, "replace").splitlines()
    line = head[0] if head else ""
    delimiter = next((each for each in _DELIMITERS if each in line), ",")
    csv.field_size_limit(MAX_CELL)
    try:
        with path.open(encoding=encoding, newline="") as text:
            reader = csv.reader(text, delimiter=delimiter)
            for row in reader:
                if len(row) > MAX_COLUMNS:
                    raise _invalid(f"第 {reader.line_num} 行列数过多", f"Line {reader.line_num} has too many columns")
                if any(cell and not cell.isspace() for cell in row):
                    yield row
    except csv.Error as error:
        raise _invalid(f"第 {reader.line_num} 行格式错误", f"Line {reader.line_num}: {error}") from error
    except UnicodeDecodeError as error:
        raise _invalid("文件须为 UTF-8 或 GB18030 编码", "The file must be UTF-8 or GB18030") from error


def _encoding(sample: bytes) -> str:
    """UTF-8 where the sample is (its last character may be cut), else what Chinese spreadsheets write."""
    for cut in range(4):
        try:
            sample[: len(sample) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return "utf-8-sig"
    return "gb18030"


def _sheet_rows(path: Path) -> Iterator[list[str]]:
    # As a stream: by a path openpyxl would judge the name, which is a spool file's.
    with path.open("rb") as stream:
        book = _book(stream)
        try:
            if not book.worksheets:
                raise _invalid("XLSX 中没有工作表", "The XLSX file has no sheet")
            for row in book.worksheets[0].iter_rows(values_only=True, max_col=MAX_COLUMNS):
                cells = [_cell(value) for value in row]
                if any(cells):
                    yield cells
        except _DAMAGED as error:
            raise _invalid("XLSX 内容损坏", "The XLSX file is damaged") from error
        finally:
            book.close()


def _book(stream: BinaryIO) -> Workbook:
    # Half a second of imports and 15 MB, which only a process that reads a sheet shall pay.
    import openpyxl  # noqa: PLC0415

    try:
        with zipfile.ZipFile(stream) as archive:
            unpacked = sum(item.file_size for item in archive.infolist())
        if unpacked <= MAX_UNPACKED:
            stream.seek(0)
            return openpyxl.load_workbook(stream, read_only=True, data_only=True)
    except _DAMAGED as error:
        raise _invalid("不是有效的 XLSX 文件", "Not a valid XLSX file") from error
    raise Refused("too_large", {"most_octets": MAX_UNPACKED})


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        # Spreadsheets keep a number typed into a cell as a float.
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat(" ", "minutes") if (value.hour or value.minute) else value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return str(value)[:MAX_CELL]
