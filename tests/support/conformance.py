"""What foreign peers showed of us, test by test, and the pages made of it.

``python tests/support/conformance.py`` runs the peers' tests and writes ``docs/conformance.md``, its Chinese sister and
``docs/conformance.json``, what they are made of; with test files as arguments it runs those and keeps what the others
showed last, with ``--pages`` it runs none. The tests say what they showed as their last step; a test that fails before
never says it, and then no page is written.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "docs" / "conformance.json"
HUNTED = ROOT / "tests" / "fuzz" / "corpus" / "hunted.json"
"""How long the fuzzers have looked, by target."""
TESTS = ("tests/protocol/peers", "tests/protocol/gsm", "tests/protocol/wappush")
NAMES = {"cmpp20": "CMPP 2.0", "cmpp30": "CMPP 3.0", "sgip12": "SGIP 1.2", "smgp30": "SMGP 3.0", "smpp34": "SMPP 3.4"}
NAMES |= {"gsm": "GSM modem (AT, PDU mode)", "gsm-pdu": "GSM PDUs", "wappush": "WAP Push (WBXML)"}
ROLES = {
    "gsm": {"server": ("we are the modem", "我方为调制解调器")},
    "gsm-pdu": {"writer": ("we write, it reads", "我方写，对方读"), "reader": ("it writes, we read", "对方写，我方读")},
}
ROLES["wappush"] = ROLES["gsm-pdu"]
USUAL_ROLES = {"client": ("we are the provider", "我方为 SP"), "server": ("we are the carrier", "我方为网关")}


class Row(NamedTuple):
    """One thing shown: by this peer, of this protocol, with us in this role."""

    protocol: str
    subject: str
    role: str
    peer: str


class Finding(NamedTuple):
    """Where a peer and the reference, or we, disagreed: who is right and what we do, in English and Chinese."""

    where: str
    english: str
    chinese: str


FINDINGS = (
    Finding(
        "SMSGate, CMPP / SGIP",
        "Sends a throttled submit again under its old sequence. The specifications are silent; we used to repeat the "
        "remembered refusal, which throttled it for ever. Ours was wrong: only accepted requests are answered from "
        "memory now, a refused one is judged anew.",
        "被限流的提交用原序号重发，规范未作规定；我方原来重复已记住的拒绝，使其永远被限流。我方有误，已改："
        "只有已接受的请求才按记忆重复应答，被拒绝的请求重新判定。",
    ),
    Finding(
        "SMSGate, SMGP",
        "Refuses a wrong digest with Status 3. SMGP 3.0.3 says 21 (authentication). The reference is right: we answer "
        "21; a foreign 3 is taken as a temporary refusal, since SMGP gives 3 another meaning.",
        "摘要错误时以 Status 3 拒绝登录；SMGP 3.0.3 规定为 21（认证失败）。以规范为准：我方应答 21，收到 3 时按暂时性拒绝处理。",
    ),
    Finding(
        "SMSGate, SMPP",
        "Refuses a wrong password with 0x0D (bind failed) and writes a system_id after an error. SMPP 3.4 has 0x0E "
        "(invalid password) and omits the body. Both are tolerable: we answer 0x0E without a body, read either, and "
        "treat 0x0D as temporary because it does not name the credentials.",
        "密码错误时应答 0x0D（绑定失败），且出错时仍带消息体；SMPP 3.4 有 0x0E（密码无效）并省略消息体。二者均可接受："
        "我方应答 0x0E 且不带消息体，两种都能读取；0x0D 未指明凭据有误，按暂时性拒绝处理。",
    ),
    Finding(
        "SMSGate, CMPP 2.0",
        "Makes the gateway's digest over four octets of Status though the field has one. Other implementations hash "
        "one. Neither is ruled out by the text: we hash the field's width and accept both.",
        "网关摘要对 4 个字节的 Status 计算，而该字段只有 1 个字节；其他实现按 1 个字节。规范文本无法判定：我方按字段宽度计算，两种都接受。",
    ),
    Finding(
        "SMSGate, CMPP 2.0",
        "Writes and reads Success_Id of CANCEL_RESP as four octets, as 3.0 has it; in 2.0 it is one. The reference is "
        "right: we write one octet and read either. The peer cannot read ours, so nothing is shown of that answer.",
        "CANCEL_RESP 的 Success_Id 按 3.0 的 4 个字节读写，而 2.0 只有 1 个字节。以规范为准：我方写 1 个字节，两种都能读取；"
        "对端无法读取我方应答，故此项未标记。",
    ),
    Finding(
        "SMSGate, SGIP",
        "Reads the second word of a sequence as a calendar time and writes it back from a date, so a word that is no "
        "valid MMDDhhmmss comes back changed. The reference calls it a time: we always write a valid one, and a "
        "gateway of ours echoes the octets as they came.",
        "把序列号第二个字当作日历时间解析再写回，非法的 MMDDhhmmss 会被改动。规范称其为时间："
        "我方总是写入合法时间，作为网关时原样返回收到的字节。",
    ),
    Finding(
        "SMSGate, SGIP",
        "Takes and brings receipts on the provider's own session too. SGIP 1.2 has the gateway call the provider's "
        "listener. The reference is right; we listen, and take both.",
        "也在 SP 自己的连接上收发状态报告；SGIP 1.2 规定由网关连接 SP 的监听端口。以规范为准；我方监听，同时两种都接受。",
    ),
    Finding(
        "Kannel, modem",
        "Loses a +CDS that comes before the +CMGS of its message, and reads the line right below +CMGR as the PDU. TS 27.005 "
        "allows the first and shows the second. We match a report that comes early; our simulated modem put an empty "
        "line there and was wrong, that is changed.",
        "先于 +CMGS 到达的 +CDS 会被丢弃；并把 +CMGR 紧接的一行当作 PDU。TS 27.005 允许前者，也规定了后者的版式。"
        "我方能匹配提前到达的报告；我方模拟调制解调器原来在其间多一空行，是我方有误，已改。",
    ),
    Finding(
        "smspdudecoder, GSM PDUs",
        "Takes the seven spare bits after 7, 15, 23 ... septets for a commercial at. TS 23.038 clause 6.1.2.1.1 is right: "
        "TP-UDL counts the septets, and we read no more.",
        "把 7、15、23…个七位组之后的 7 个空闲比特当作 “@”。TS 23.038 第 6.1.2.1.1 条为准：TP-UDL 给出七位组个数，我方不多读。",
    ),
    Finding(
        "gsmcodecs, national alphabets",
        "Has an apostrophe at 0x2C of the Indian locking tables and nothing at 0x65 of Telugu's single shift table. Two other "
        "implementations have a comma and the euro sign; we follow those. All other codes of all 14 languages agree.",
        "印度各语言锁定表的 0x2C 为撇号，泰卢固语单切换表的 0x65 为空；另两种实现为逗号和欧元符号，我方从之。14 种语言其余各码全部一致。",
    ),
    Finding(
        "Kannel, SMPP",
        "Asks for the receipt of one segment of a long message only. SMPP leaves it to the sender. We ask for every "
        "segment's, because one segment may fail alone.",
        "长短信只要求一个分段的状态报告；SMPP 由发送方决定。我方要求每个分段的报告，因为分段可能单独失败。",
    ),
)

FINDINGS += (
    Finding(
        "Jasmin, SMPP",
        "Cannot read a query_sm_resp with an error status and no body: it takes the connection for corrupt. SMPP 3.4 lets "
        "only the answers to messages leave their body out. The peer is right; ours was wrong: a query that fails is now "
        "answered with its body. Theirs may come without one.",
        "带错误状态而没有消息体的 query_sm_resp 无法读取，并判定连接损坏；SMPP 3.4 只允许消息类应答省略消息体。对端正确，"
        "我方原来有误，已改：查询失败也带消息体应答；对端的应答没有消息体也能读取。",
    ),
    Finding(
        "Jasmin, SMPP",
        "Can neither write nor read replace_sm: its PDU library (smpp.pdu3 0.6) has no coder for the PDU's sm_length and "
        "fails. The reference is right; replacing is shown with npm smpp.",
        "既不能写也不能读 replace_sm：其 PDU 库（smpp.pdu3 0.6）缺少该 PDU 的 sm_length 编解码。以规范为准；替换由 npm smpp 验证。",
    ),
)

BY_VECTORS = {
    "cmpp20": ("FWD", "MT_ROUTE … PUSH_MO_ROUTE_UPDATE"),
    "cmpp30": ("FWD", "MT_ROUTE … GET_MO_ROUTE"),
    "sgip12": ("TRACE", "USERRPT", "CHECKUSER"),
    "smgp30": ("Query", "Forward"),
    "smpp34": ("outbind",),
}
"""PDUs of the reference that none of the peers speaks: written by hand from it, decoded, encoded, asked and answered in
both roles by the tests in ``tests/protocol/carrier``.
"""


def keep(rows: list[Row], test: str) -> None:
    """Append what a test showed to the run's file, when the run asks for one."""
    target = os.environ.get("GUANXIN_CONFORMANCE")
    if not target:
        return
    with Path(target).open("a", encoding="utf-8") as file:
        file.writelines(json.dumps([*row, test], ensure_ascii=False) + "\n" for row in rows)


Shown = dict[str, list[Row]]
"""Test file to what it showed."""


def read(path: Path) -> Shown:
    """Return what a run showed."""
    shown: Shown = {}
    for line in path.read_text("utf-8").splitlines():
        *row, test = json.loads(line)
        shown.setdefault(test.partition("::")[0], []).append(Row(*row))
    return shown


def kept(chosen: Sequence[str]) -> Shown:
    """Return what was shown before by tests that are not chosen now."""
    if not RECORD.exists():
        return {}
    before: dict[str, list[list[str]]] = json.loads(RECORD.read_text("utf-8"))
    files = {file: [Row(*row) for row in rows] for file, rows in before.items() if (ROOT / file).exists()}
    return {file: rows for file, rows in files.items() if not file.startswith(tuple(chosen))}


def page(rows: set[Row], *, chinese: bool) -> str:
    """Return the page for what was shown."""
    lines = _CHINESE_HEAD if chinese else _ENGLISH_HEAD
    parts = [lines]
    for protocol, name in NAMES.items():
        shown = {row for row in rows if row.protocol == protocol}
        columns = sorted({(row.role, row.peer) for row in shown})
        roles = {**USUAL_ROLES, **ROLES.get(protocol, {})}
        heads = [f"{peer}<br>{roles[role][chinese]}" for role, peer in columns]
        table = [f"| {'项目' if chinese else 'subject'} | " + " | ".join(heads) + " |"]
        table.append("| --- |" + " :-: |" * len(columns))
        for subject in sorted({row.subject for row in shown}):
            marks = ["✔" if Row(protocol, subject, *column) in shown else "" for column in columns]
            table.append(f"| {subject} | " + " | ".join(marks) + " |")
        parts.append(f"## {name}\n\n" + "\n".join(table) + "\n")
    parts.append("## 没有对端的 PDU\n" if chinese else "## PDUs that no peer speaks\n")
    parts.append(_CHINESE_VECTORS if chinese else _ENGLISH_VECTORS)
    parts.append("\n".join(f"* {NAMES[protocol]}: {', '.join(pdus)}" for protocol, pdus in BY_VECTORS.items()) + "\n")
    parts.append("## 模糊测试\n" if chinese else "## Fuzzing\n")
    parts.append((_CHINESE_FUZZING if chinese else _ENGLISH_FUZZING) + _hunted(chinese=chinese))
    parts.append("## 分歧与取舍\n" if chinese else "## Where peers and the reference disagree\n")
    head = "| 对端 | 谁对，我方如何处理 |" if chinese else "| peer | who is right, and what we do |"
    body = [f"| {finding.where} | {finding.chinese if chinese else finding.english} |" for finding in FINDINGS]
    parts.append("\n".join([head, "| --- | --- |", *body]) + "\n")
    return "\n".join(parts)


_HUNTED_AS = {"gsm": "gsm-pdu", "at": "gsm"}
"""The fuzzers' names that mean something else on the page."""


def _hunted(*, chinese: bool) -> str:
    """The fuzzers' own count of what they tried."""
    hunts: dict[str, dict[str, float]] = json.loads(HUNTED.read_text("utf-8"))
    table = [
        "| 对象 | 分钟 | 处理器分钟 | 执行次数 | 语料 |"
        if chinese
        else "| target | minutes | CPU minutes | executions | corpus |"
    ]
    table.append("| --- | --: | --: | --: | --: |")
    for name, hunt in hunts.items():
        corpus = len((HUNTED.parent / f"{name}.hex").read_text("ascii").split())
        figures = f"{hunt['minutes']:.0f} | {hunt['cpu_minutes']:.0f} | {hunt['executions']:,} | {corpus}"
        table.append(f"| {NAMES[_HUNTED_AS.get(name, name)]} | {figures} |")
    return "\n".join(table) + "\n"


_ENGLISH_FUZZING = """\
Coverage-guided (atheris), by `make fuzz`: single PDUs, and whole sessions as programs of a peer and of the caller, in both
roles. Held against: no exception but the declared one with its octet, every token ends exactly once, nothing kept beyond
the windows, all that is written is a valid PDU, the cutting into reads changes nothing, lines executed and memory linear
in the octets. The corpus is replayed by every test run. What was found is mended and stays in the tests: a GSM modem
given up spoke on, an empty document's error lay at octet -1, an empty user data header was lost, a positive answer to
cancel_sm had a body, and a WBXML string table could be named into gigabytes (the last two by reading, not by chance).

"""

_CHINESE_FUZZING = """\
由 `make fuzz` 进行覆盖率引导（atheris）的模糊测试：单个 PDU，以及把对端与调用方编成程序的完整会话，两种角色。判据：除声明的
异常（带字节位置）外无其他异常；每个令牌恰好结束一次；不保留窗口以外的内容；写出的都是合法 PDU；读取的切分不影响结果；执行行数
与内存与字节数成线性。语料由每次测试重放。发现的问题均已修复并留有测试：已放弃的调制解调器仍上报事件；空文档错误位置为 -1；空的
用户数据头丢失；cancel_sm 的肯定应答带了消息体；WBXML 字符串表可被反复引用而占用数 GB（后两项由阅读代码发现）。

"""

_ENGLISH_VECTORS = """\
Shown by vectors only, assembled by hand from the reference in `tests/protocol/carrier`, and by both roles of our own
engine against each other.
"""

_CHINESE_VECTORS = "仅由 `tests/protocol/carrier` 中按规范手工编排的向量，以及我方引擎两种角色互测验证。\n"

_ENGLISH_HEAD = """\
# Conformance: what foreign implementations showed

[中文](conformance.zh.md)

Made by `python tests/support/conformance.py` from a run of `tests/protocol`; do not edit. A mark means that a test with
that implementation at the other end of a real TCP connection (of a pseudo terminal for modems; its codec for PDUs) passed
to its last line. An empty place is not a failure: nothing was tried there. The peers run unchanged, in the versions named.
"""

_CHINESE_HEAD = """\
# 互通性：与第三方实现的实测结果

[English](conformance.md)

由 `python tests/support/conformance.py` 运行 `tests/protocol` 生成，请勿手工修改。✔ 表示与该实现经真实 TCP 连接
（调制解调器为伪终端，PDU 为其编解码器）的测试全部通过；空白不表示失败，而是未测。对端均为所列版本，未作改动。
"""


def main(chosen: Sequence[str]) -> int:
    """Run the peers' tests, or the chosen ones, and write the pages; the tests' exit code."""
    if list(chosen) == ["--pages"]:
        write(kept(["nothing"]))
        return 0
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory) / "shown.jsonl"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *chosen],
            env={**os.environ, "GUANXIN_CONFORMANCE": str(target)},
            cwd=ROOT,
            check=False,
        )
        if done.returncode:
            return done.returncode
        shown = {**kept(chosen), **read(target)}
    write({file: sorted(set(rows)) for file, rows in sorted(shown.items())})
    return 0


def write(record: Shown) -> None:
    """Write the record and the pages made of it."""
    RECORD.write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", "utf-8")
    rows = {row for found in record.values() for row in found}
    for name, chinese in (("conformance.md", False), ("conformance.zh.md", True)):
        (ROOT / "docs" / name).write_text(page(rows, chinese=chinese), "utf-8")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:] or TESTS))
