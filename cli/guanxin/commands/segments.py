"""``guanxin segments``: how a text is cut, what each segment holds, and what it costs."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import typer
from rich.table import Table

import smstext
from guanxin import output
from guanxin.client import Platform
from guanxin.i18n import t
from guanxin.output import Exit

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(
    help=t("查看短信分条与价格。例：", "Show the segments and the price of a text. Example: ")
    + "guanxin segments --text '【关心】您的验证码是4821'"
)
def segments(
    text: Annotated[str, typer.Option("--text", help=t("短信内容", "the text"))],
    price: Annotated[
        str | None,
        typer.Option("--price", help=t("每条单价；缺省取现行资费", "yuan a segment; else the tariff in force")),
    ] = None,
    json_: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Cut the text as dispatch would; without ``--price`` the running platform's tariff gives the price."""
    try:
        cut = smstext.split(text)
    except smstext.TextError as error:
        output.fail(Exit.MISUSE, f"{error.code}: {t(error.zh, error.en)}")
    document: dict[str, Any] = {
        "alphabet": cut.coding.value,
        "characters": len(text),
        "segments": cut.total,
        "parts": [
            {"number": number, "text": part, "octets": len(payload)}
            for number, (part, payload) in enumerate(zip(cut.parts, cut.payloads, strict=True), 1)
        ],
        "price": _price(text, cut.total, price),
    }
    if json_:
        output.emit_json(document)
        return
    console = output.results()
    table = Table(box=None, pad_edge=False)
    for heading in (t("分条", "segment"), t("字节", "octets"), t("内容", "text")):
        table.add_column(heading)
    for part in document["parts"]:
        table.add_row(str(part["number"]), str(part["octets"]), part["text"])
    console.print(table)
    summary = t(
        f"编码 {cut.coding.value}，{len(text)} 字，{cut.total} 条",
        f"alphabet {cut.coding.value}, {len(text)} characters, {cut.total} segment(s)",
    )
    console.print(summary + _price_text(document["price"]))


def _price(text: str, count: int, given: str | None) -> dict[str, str] | None:
    if given is not None:
        try:
            return {"currency": "CNY", "total": str(Decimal(given) * count)}
        except InvalidOperation:
            output.fail(Exit.MISUSE, t("--price 须为十进制数", "--price must be a decimal number"))
    try:
        answer = Platform().call("ingest", "POST", "/v1/preview", body={"content": text})
    except typer.Exit:
        # The cut is worth showing without a platform; that there is no price has just been said on standard error.
        return None
    price: dict[str, str] | None = answer.get("price")
    return price


def _price_text(price: dict[str, str] | None) -> str:
    if price is None:
        return ""
    return t("，价格 ", ", price ") + " ".join(str(value) for value in price.values())
