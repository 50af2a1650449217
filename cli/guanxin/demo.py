"""``python -m guanxin.demo``: a few minutes of a platform's life in some seconds, told as it happens.

Sends a verification code, a bank notice, a long text, a message through every carrier, a bulk task that review holds, a burst
that screening stops, replies and an opt-out; waits for what the platform really says of each, and ends with exit code 1 when that
is not what it should be.
"""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from guanxin import output, show
from guanxin.client import Platform
from guanxin.i18n import t
from guanxin.stack.seed import BANK, CODES, POWER, SHOP

PATIENCE_S = 45.0
BURST, THRESHOLD = 40, 30
BULK = 60
PREFIXES = ("138", "130", "133", "192", "170")
"""First digits of phones of China Mobile, China Unicom, China Telecom, the Broadcasting network and a virtual operator."""

LONG_TEXT = (
    "【示范电力】尊敬的客户：因线路检修，您所在的幸福路片区计划于{day}08:30至17:30停电，请提前做好准备。"
    "检修期间请勿攀爬电力设施，电梯、水泵等重要设备请安排备用电源。恢复送电时间可能提前，请勿在线路上作业。"
    "如有疑问请拨打95598，我们二十四小时为您服务。由此给您带来的不便，敬请谅解。"
)


# Five pieces of ten each: the texts of two runs must not resemble each other, or review would rightly count them together.
_SMALL_TALK = tuple(
    line.split()
    for line in (
        "爸妈说 老同学们 隔壁王姐 球队队长 表弟昨天 班长提议 小区群里 我刚才想 师傅来电 孩子问起",
        "周六爬香山 中秋回老家 晚饭吃火锅 下班去游泳 月底搬新房 清早看日出 合唱队排练 带狗打疫苗 阳台种番茄 去湖边露营",
        "七点半出发 雨停了再说 八个人正好 车停在东门 记得带雨伞 票已经买好 还差两把椅 改坐高铁了 先到的占座 时间不变哦",
        "奶奶炖了排骨 阿强负责拍照 菜单发给你了 钥匙放门垫下 相机电池充满 顺路取个蛋糕 小雨也来帮忙 记账我来就行 书还没有看完 琴谱在书架上",
        "到了喊我 回头细聊 不见不散 别忘了哈 等你回话 路上当心 明早确认 就这么定 辛苦你啦 晚点再约",
    )
)


def _small_talk() -> str:
    return "，".join(secrets.choice(pieces) for pieces in _SMALL_TALK)


@dataclass(frozen=True, slots=True)
class Scene:
    """One story of the demo: what was sent, what became of it, and whether that is as it should be."""

    title: str
    happened: str
    look: str
    well: bool


class Demo:
    """Sends and watches; recipients are new in every run, so that an opt-out of yesterday does not stop today's."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._run = secrets.randbelow(9_000) + 1_000
        self._next = 0

    def number(self, prefix: str = "") -> str:
        """Return a recipient no run before had, with luck, and no other scene has; the carriers take turns."""
        self._next += 1
        return f"{prefix or PREFIXES[self._next % len(PREFIXES)]}{self._run:04d}{self._next:04d}"

    def verification_code(self) -> Scene:
        """A code matches its port's approved template and goes first."""
        code = f"{secrets.randbelow(900_000) + 100_000}"
        text = f"【示范银行】您的验证码是{code}，5分钟内有效，请勿告诉他人。"
        message = self._message(CODES.port, self.number(), text, "verification")
        final = self._until_final(message)
        took = _milliseconds(final, "submitted")
        happened = show.state(final["state"]) + t(f"，受理到提交 {took} 毫秒", f", submitted {took} ms after accepting")
        return Scene(t("验证码", "verification code"), happened, f"guanxin message show {message}", _delivered(final))

    def bank_notice(self) -> Scene:
        """A notice, and the customer's reply to it."""
        number = self.number()
        text = f"【示范银行】您尾号{self._run}的账户11月23日支出人民币268.00元，余额5,312.45元。"
        message = self._message(BANK.port, number, text, "notice")
        final = self._until_final(message)
        self._reply(number, BANK.port, "收到，谢谢")
        reply = self._reply_of(number)
        words = t("，客户回复：", ", the customer replied: ") + reply["text"]
        well = _delivered(final) and reply["message_id"] == message
        return Scene(
            t("账户通知与回复", "bank notice and reply"),
            show.state(final["state"]) + words,
            f"guanxin number show {number}",
            well,
        )

    def long_text(self) -> Scene:
        """A long Chinese text travels in segments, and every segment has its receipt."""
        day = f"11月{24 + self._run % 6}日"
        message = self._message(POWER.port, self.number(), LONG_TEXT.format(day=day), "notice")
        final = self._until_final(message)
        receipts = sum(1 for segment in final["segments"] if "receipt" in segment)
        happened = show.state(final["state"]) + t(
            f"，{len(final['segments'])} 条，回执 {receipts} 个",
            f", {len(final['segments'])} segments, {receipts} receipts",
        )
        well = _delivered(final) and receipts == len(final["segments"]) > 1
        return Scene(t("长短信", "long text"), happened, f"guanxin message show {message}", well)

    def every_carrier(self) -> Scene:
        """A message to a phone of every carrier, each over its own link, and every phone answers."""
        sent = [self._message_to(prefix) for prefix in PREFIXES]
        finals = [(number, self._until_final(message)) for number, message in sent]
        ways = [str(final["segments"][0]["link"]) for _, final in finals]
        for number, _ in finals:
            self._reply(number, BANK.port, "收到")
        replies = [self._reply_of(number) for number, _ in finals]
        links = ", ".join(sorted(set(ways)))
        happened = t(f"{len(finals)} 条送达并回复，经由 {links}", f"{len(finals)} delivered and answered, by {links}")
        well = all(
            _delivered(final) and reply["message_id"] == message
            for (_, message), (_, final), reply in zip(sent, finals, replies, strict=True)
        )
        return Scene(t("各运营商", "every carrier"), happened, "guanxin links", well)

    def _reply_of(self, number: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = self._until(lambda: self._replies(number), "reply")
        return found[0]

    def _message_to(self, prefix: str) -> tuple[str, str]:
        number = self.number(prefix)
        text = f"【示范银行】您{self._run}号卡片的账单已出，请及时查看。"
        return number, self._message(BANK.port, number, text, "notice")

    def undelivered(self) -> Scene:
        """A phone that is not reachable: the carrier's receipt says so."""
        number = f"138{self._run:04d}0404"
        message = self._message(POWER.port, number, f"【示范电力】您{self._run}户本月电费86.40元。", "notice")
        final = self._until_final(message)
        return Scene(
            t("不可达号码", "a phone not reachable"),
            show.state(final["state"]),
            f"guanxin message show {message}",
            final["state"] == "failed",
        )

    def held_bulk(self) -> Scene:
        """A bulk task of a high-risk port waits for a reviewer, and nothing of it is sent."""
        text = f"【示范商城】双11返场，会员专享{self._run}元券包，详询门店，回T退订"
        body = {
            "port": SHOP.port, "class": "marketing", "content": text, "validity": 86_400,
            "recipients": [self.number() for _ in range(BULK)],
        }  # fmt: skip
        task = self._platform.call("ingest", "POST", "/v1/tasks", body=body)["id"]
        document = self._until(lambda: self._task_when(task, "held", BULK), "held")
        return Scene(
            t("群发待审", "bulk task held"),
            show.counts(document["counts"]) + t("，请到控制台审核", ", waits for you in the console"),
            f"guanxin review approve {task}",
            document["counts"]["held"] == BULK,
        )

    def spam_burst(self) -> Scene:
        """The 31st message of a person's number within five minutes is blocked, and all after it."""
        sender = f"139{self._run:04d}{secrets.randbelow(9_000) + 1_000}"
        body = {
            "port": sender, "class": "notice", "content": _small_talk(),
            "recipients": [self.number() for _ in range(BURST)],
        }  # fmt: skip
        task = self._platform.call("ingest", "POST", "/v1/tasks", body=body)["id"]
        document = self._until(lambda: self._finished(task), "burst")
        return Scene(
            t(f"{BURST} 条突发", f"burst of {BURST}"),
            show.counts(document["counts"]) + t(f"（门限 {THRESHOLD}）", f" (threshold {THRESHOLD})"),
            f"guanxin task messages {task} --state blocked",
            document["counts"].get("blocked", 0) == BURST - THRESHOLD,
        )

    def spam_text(self) -> Scene:
        """An offer of false invoices, its words taken apart: blocked with the rule that saw it."""
        text = f"代·开·发·票，各行业增值稅發票，点数低，验后付款，加微信 fp{self._run}88"
        message = self._message(SHOP.port, self.number(), text, "marketing")
        final = self._until_final(message)
        return Scene(
            t("变体垃圾短信", "disguised spam"),
            show.state(final["state"]),
            f"guanxin message show {message}",
            final["state"] == "blocked",
        )

    def opt_out(self) -> Scene:
        """An opt-out acts at once: the next message to that number is not sent."""
        number = self.number()
        first = self._message(BANK.port, number, f"【示范银行】理财日报第{self._run}期，回T退订", "notice")
        self._until_final(first)
        self._reply(number, BANK.port, "T")
        self._until(lambda: self._replies(number), "opt-out")
        second = self._message(BANK.port, number, f"【示范银行】理财日报第{self._run + 1}期，回T退订", "notice")
        final = self._until_final(second)
        well = final["state"] != "delivered" and any(step["cause"] == "opted_out" for step in final["timeline"])
        happened = t("退订后再发：", "sent after the opt-out: ") + show.state(final["state"])
        return Scene(t("退订", "opt-out"), happened, f"guanxin number show {number}", well)

    # ------------------------------------------------------------------------------------------------------------------

    def _message(self, port: str, to: str, text: str, lane: str) -> str:
        body = {"port": port, "to": to, "content": text, "class": lane}
        return str(self._platform.call("ingest", "POST", "/v1/messages", body=body)["id"])

    def _until_final(self, message: str) -> dict[str, Any]:
        def final() -> dict[str, Any] | None:
            document: dict[str, Any] = self._platform.call("ingest", "GET", f"/v1/messages/{message}")
            return document if document["state"] in show.FINAL else None

        document: dict[str, Any] = self._until(final, message)
        return document

    def _finished(self, task: str) -> dict[str, Any] | None:
        document: dict[str, Any] = self._platform.call("ingest", "GET", f"/v1/tasks/{task}")
        return document if document["finished"] else None

    def _task_when(self, task: str, state: str, count: int) -> dict[str, Any] | None:
        document: dict[str, Any] = self._platform.call("ingest", "GET", f"/v1/tasks/{task}")
        return document if document["counts"].get(state, 0) == count else None

    def _replies(self, number: str) -> list[dict[str, Any]]:
        page = self._platform.call("ingest", "GET", "/v1/replies", params={"number": number})
        items: list[dict[str, Any]] = page["items"]
        return items

    def _reply(self, number: str, port: str, text: str) -> None:
        for simulator in self._platform.simulators():
            self._platform.outside("POST", f"{simulator}/mo", {"from": number, "to": port, "text": text})

    def carriers(self) -> list[tuple[str, dict[str, int]]]:
        """Return each simulated carrier's own counts."""
        documents = [self._platform.outside("GET", f"{url}/stats") for url in self._platform.simulators()]
        return [row for document in documents for row in document["gateways"].items()]

    def _until(self, ask: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            found = ask()
            if found:
                return found
            time.sleep(0.1)
        raise DemoError(t(f"{PATIENCE_S:.0f} 秒内没有结果：{what}", f"no outcome within {PATIENCE_S:.0f} s: {what}"))


class DemoError(Exception):
    """Something did not happen in time; the text says what."""


def _delivered(message: dict[str, Any]) -> bool:
    return bool(message["state"] == "delivered")


def _milliseconds(message: dict[str, Any], state: str) -> str:
    times = [step["at"] for step in message["timeline"] if step["state"] == state]
    return str(times[0] - message["accepted_at"]) if times else "?"


def _by_carrier(rows: list[tuple[str, dict[str, int]]]) -> Table:
    """Return what each simulated carrier counted since it started: the other side's word."""
    table = Table(box=None, pad_edge=False, title=t("运营商侧计数", "The carriers' own counts"), title_justify="left")
    table.add_column(t("协议", "protocol"))
    columns = {
        "sessions": ("会话", "sessions"),
        "accepted": ("收到", "accepted"),
        "receipts_answered": ("回执", "receipts"),
        "mo_answered": ("回复", "replies"),
    }
    for heading in columns.values():
        table.add_column(t(*heading), justify="right")
    for name, counts in rows:
        table.add_row(name, *(str(counts[column]) for column in columns))
    return table


SCENES: tuple[Callable[[Demo], Scene], ...] = (
    Demo.verification_code,
    Demo.bank_notice,
    Demo.long_text,
    Demo.every_carrier,
    Demo.undelivered,
    Demo.held_bulk,
    Demo.spam_text,
    Demo.spam_burst,
    Demo.opt_out,
)


def main() -> int:
    """Play every scene; returns 1 when one did not end as it should."""
    demo, scenes = Demo(Platform()), []
    progress = output.diagnostics()
    for play in SCENES:
        with progress.status(t("演示流量……", "demo traffic …")):
            try:
                scenes.append(play(demo))
            except DemoError as error:
                name = play.__name__.replace("_", " ")
                scenes.append(Scene(name, str(error), "guanxin stack logs", well=False))
    table = Table(box=None, pad_edge=False, title=t("演示", "Demo"), title_justify="left")
    for heading in ("", t("场景", "scene"), t("结果", "what happened"), t("查看", "look at")):
        table.add_column(heading, overflow="fold")
    for scene in scenes:
        mark = "[green]✓[/]" if scene.well else "[red]✗[/]"
        table.add_row(mark, scene.title, scene.happened, scene.look)
    output.results().print(table)
    output.results().print(_by_carrier(demo.carriers()))
    return 0 if all(scene.well for scene in scenes) else 1


if __name__ == "__main__":
    sys.exit(main())
