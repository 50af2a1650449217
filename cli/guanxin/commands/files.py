"""``guanxin files``: the numbered files exchanged with BOSS."""

from __future__ import annotations

from typing import Annotated

import typer

from guanxin import output
from guanxin.client import Platform
from guanxin.i18n import t
from guanxin.output import Exit
from guanxin.tables import print_table

_JSON = typer.Option("--json", help=t("输出 JSON", "print JSON"))

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help=t("话单文件：列出、重新提供、校验、对账。例：", "Charging files: list, resend, verify, reconcile. Example: ")
    + "guanxin files list",
)


@app.command("list", help=t("列出文件", "the files, newest first"))
def list_(*, json_: Annotated[bool, _JSON] = False) -> None:
    """Print number, name, records, sum and whether BOSS has acknowledged."""
    files = Platform().call("billing-sync", "GET", "/v1/files", params={"limit": 500}, operator=True)
    if json_:
        output.emit_json(files)
        return
    headings = (
        "#",
        t("文件", "file"),
        t("记录", "records"),
        t("金额", "amount"),
        t("生成", "made"),
        t("状态", "state"),
    )
    print_table(
        headings,
        [
            [
                str(file["no"]),
                file["name"],
                f"{file['records']:,}",
                file["total"],
                file["made_at"][:19],
                file["state"],
            ]
            for file in files
        ],
    )


@app.command(help=t("重新提供", "offer a file again"))
def resend(number: int) -> None:
    """Make file NUMBER visible to BOSS again, octet for octet."""
    output.emit_json(Platform().call("billing-sync", "POST", f"/v1/files/{number}/resend", operator=True))


@app.command(help=t("校验：由数据重建并逐字节比较", "make it anew from its rows and compare octets"))
def verify(number: int) -> None:
    """Exit code 1 when the file is not what its rows say."""
    found = Platform().call("billing-sync", "GET", f"/v1/files/{number}/verify", operator=True)
    output.emit_json(found)
    raise typer.Exit(Exit.DONE if found["ok"] else Exit.NO)


@app.command(help=t("对账：话单与应答逐项核对", "hold the records against the carriers' answers"))
def reconcile(
    *,
    since: Annotated[int | None, typer.Option("--since", help=t("毫秒时间戳", "Unix ms"))] = None,
    until: Annotated[int | None, typer.Option("--until", help=t("毫秒时间戳", "Unix ms"))] = None,
) -> None:
    """Print the figures of the last day, or of the span given; exit code 1 when there is a difference or a gap."""
    params = {"since": since, "until": until}
    found = Platform().call("billing-sync", "GET", "/v1/reconciliation", params=params, operator=True)
    output.emit_json(found)
    raise typer.Exit(Exit.DONE if found["ok"] else Exit.NO)
