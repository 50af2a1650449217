"""``guanxin decode`` and ``guanxin encode``: one JSON document a line, so that a capture of many PDUs is one pipe."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, NoReturn

import typer

from guanxin import output, wire
from guanxin.i18n import t
from guanxin.lines import given_or_lines
from guanxin.output import Exit

decode_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
encode_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_DIALECT = typer.Option("--dialect", "-d", help=t("协议：", "the dialect: ") + ", ".join(wire.names()))


@decode_app.command(
    help=t("把线上字节解码为字段。例：", "Turn wire bytes into fields. Example: ")
    + "guanxin decode --dialect smpp34 00000010000000150000000000000001"
)
def decode(
    octets: Annotated[
        str | None, typer.Argument(metavar="[HEX]", help=t("缺省时逐行读标准输入", "else lines of standard input"))
    ] = None,
    dialect: Annotated[str, _DIALECT] = "smpp34",
) -> None:
    """Print the fields of each PDU; malformed input ends with exit code 2 and the octet offset."""
    read, _ = _codec(dialect)
    for number, text in given_or_lines(octets):
        try:
            frame = bytes.fromhex(text)
        except ValueError:
            _malformed(number, t("不是十六进制", "not hexadecimal"), None)
        try:
            fields = read(frame)
        except wire.WireError as error:
            _malformed(number, error.reason, error.offset)
        output.emit_json(fields, line=True)


@encode_app.command(
    help=t("把字段编码为线上字节。例：", "Turn fields into wire bytes. Example: ")
    + """guanxin encode --dialect smpp34 '{"command": "enquire_link", "sequence_number": 1}'"""
)
def encode(
    fields: Annotated[
        str | None, typer.Argument(metavar="[JSON]", help=t("缺省时逐行读标准输入", "else lines of standard input"))
    ] = None,
    dialect: Annotated[str, _DIALECT] = "smpp34",
) -> None:
    """Print each PDU in hexadecimal; malformed input ends with exit code 2."""
    _, write = _codec(dialect)
    for number, text in given_or_lines(fields):
        try:
            document: Any = json.loads(text)
        except ValueError as error:
            _malformed(number, f"JSON: {error}", None)
        if not isinstance(document, dict):
            _malformed(number, t("须为 JSON 对象", "must be a JSON object"), None)
        try:
            octets = write(document)
        except wire.WireError as error:
            _malformed(number, error.reason, error.offset)
        sys.stdout.write(octets.hex() + "\n")


def _codec(dialect: str) -> tuple[wire.Decoder, wire.Encoder]:
    try:
        return wire.codec(dialect)
    except KeyError:
        output.fail(
            Exit.MISUSE,
            t(f"没有协议 {dialect}。", f"There is no dialect {dialect}."),
            t("可用：", "There are: ") + ", ".join(wire.names()),
        )


def _malformed(line: int, reason: str, offset: int | None) -> NoReturn:
    place = "" if offset is None else t(f"，第 {offset} 字节", f", octet {offset}")
    output.fail(Exit.MISUSE, t(f"第 {line} 行{place}：{reason}", f"line {line}{place}: {reason}"))
