"""The gate on a real database: what passes, what is held, and that deciding twice changes nothing."""

from __future__ import annotations

import msgspec
import pytest

from contracts.events.review import Decision
from contracts.events.spamfilter import Finding, Judgement, Verdict
from contracts.lanes import Lane
from review.domain.hours import Hours
from review.domain.policy import Tier, Window

PLAIN = "尊敬的客户，您本月电费已出账，请及时缴纳，感谢您的支持。"


async def test_fifty_recipients_pass_and_fifty_one_are_held(bench, make):
    fifty = await bench.pass_through(make.task("缴费提醒：本期电费账单已生成，请登录掌上电力查询。", 50))
    assert fifty.released_messages() == 50
    assert [d.decision for d in fifty.decided] == [Decision.RELEASED]
    more = await bench.pass_through(make.task("端午节停电检修公告：东城区六月九日停电八小时，请提前准备。", 51))
    assert more.released == []
    assert [(d.decision, d.reason) for d in more.decided] == [(Decision.HELD, "bulk_threshold")]
    (item,) = (await bench.held()).values()
    assert (item["state"], item["total"], item["reason"]) == ("queued", 51, "bulk_threshold")


async def test_trusted_and_general_ports_are_not_held_by_number(bench, make):
    await bench.policy("10655001", Tier.TRUSTED)
    await bench.policy("10655002", Tier.GENERAL)
    for port in ("10655001", "10655002"):
        passed = await bench.pass_through(make.task(PLAIN, 1_200, port=port))
        assert passed.released_messages() == 1_200
    assert await bench.held() == {}


async def test_an_extension_number_has_the_policy_of_its_port(bench, make):
    await bench.policy("10655001", Tier.TRUSTED)
    passed = await bench.pass_through(make.task(PLAIN, 600, port="1065500188"))
    assert passed.released_messages() == 600


async def test_twenty_tasks_of_five_hundred_are_all_held(bench, make):
    for _ in range(20):
        passed = await bench.pass_through(make.task(PLAIN, 500))
        assert passed.released == []
    assert len(await bench.held()) == 20


async def test_small_tasks_of_one_content_add_up(bench, make):
    outcomes = []
    for number in range(6):
        passed = await bench.pass_through(make.task(f"{PLAIN}单号{number}", 20))
        outcomes.append(passed.released_messages())
    # 20, 40 pass; 60 is above 50, and so is everything after it.
    assert outcomes == [20, 20, 0, 0, 0, 0]
    assert {row["reason"] for row in (await bench.held()).values()} == {"split_send"}


async def test_ten_thousand_single_messages_are_held_from_the_fifty_first_on(bench, make):
    released = 0
    for screened in make.singles(lambda n: f"尊敬的客户{n}，您的快件已到达驿站，请凭取件码及时领取。", 10_000):
        passed = await bench.pass_through([screened])
        released += passed.released_messages()
    assert released == 50
    held = await bench.held()
    assert len(held) == 9_950
    assert len({row["cluster"] for row in held.values()}) == 1


async def test_disguised_copies_add_up_and_other_texts_do_not(bench, make):
    def disguised(n: int) -> str:
        return f"尊敬的客户{n}*您的*账户【星】即将到期-请点击 链 接 续 费{'!' * (n % 7)}，逾期自动停机"

    copies = make.singles(disguised, 60)
    assert (await bench.pass_through(copies)).released_messages() == 50
    words = [left + right for left in "停账检预快会通生" for right in "单修"]
    others = make.singles(lambda n: f"{words[n]}提醒：{words[-n - 1] * 6}{n}，{words[n] * 7}", 16)
    assert (await bench.pass_through(others)).released_messages() == 16


async def test_contents_outside_the_window_do_not_add_up(bench, make, clock):
    assert (await bench.pass_through(make.task(PLAIN, 40))).released_messages() == 40
    clock.advance(10 * 60_000)
    assert (await bench.pass_through(make.task(PLAIN, 40))).released_messages() == 40
    clock.advance(60_000)
    assert (await bench.pass_through(make.task(PLAIN, 40))).released_messages() == 0


async def test_codes_of_an_approved_template_never_add_up(bench, make):
    make.lane = Lane.VERIFICATION
    screened = [
        msgspec.structs.replace(s, code_entries=list(range(len(s.chunk.entries))))
        for s in make.singles("您的验证码是246810，五分钟内有效。", 1_000)
    ]
    assert (await bench.pass_through(screened, Lane.VERIFICATION)).released_messages() == 1_000


async def test_what_screening_marks_is_held_on_a_trusted_port_and_what_it_blocked_ends(bench, make):
    await bench.policy("10655001", Tier.TRUSTED)
    hold = Judgement(3, 2, Verdict.HOLD, "keyword_hold", [Finding("k1", "finance", "hold", (0, 2), "贷款")])
    block = Judgement(7, 1, Verdict.BLOCK, "keyword_block")
    screened = make.screened([make.entry("贷款", 10)], [hold, block])
    passed = await bench.pass_through([screened])
    assert passed.released[0].indices == [0, 1, 2, 5, 6, 8, 9]
    held = [d for d in passed.decided if d.decision is Decision.HELD]
    assert [(d.indices, d.reason) for d in held] == [([3, 4], "keyword_hold")]
    (item,) = (await bench.held()).values()
    assert item["risk"] == 2


async def test_a_part_of_a_chunk_speaks_only_for_its_own_messages(bench, make):
    await bench.policy("10655001", Tier.TRUSTED)
    chunk = make.screened([make.entry("你好", 6)])
    first = msgspec.structs.replace(chunk, indices=[0, 2, 4], part=0)
    second = msgspec.structs.replace(chunk, indices=[1, 3, 5], part=1)
    passed = await bench.pass_through([first, second])
    assert [r.indices for r in passed.released] == [[0, 2, 4], [1, 3, 5]]
    assert len({r.release_id for r in passed.released}) == 2


async def test_all_chunks_of_a_task_go_the_same_way_though_the_policy_changes_between(bench, make):
    first, second, third = make.task(PLAIN, 1_500)
    assert (await bench.pass_through([first])).released == []
    await bench.policy("10655001", Tier.TRUSTED)
    assert (await bench.pass_through([second, third])).released == []
    (item,) = (await bench.held()).values()
    assert await bench.database.fetchval("select count(*) from held_part") == 3
    assert item["chunks"] == 3


async def test_a_repeated_chunk_gets_the_same_answer_and_counts_once(bench, make, gate_factory, clock):
    small = make.task(PLAIN, 30)
    held = make.task(PLAIN, 80)
    first = await bench.pass_through([*small, *held])
    # Another process takes the same records again, later, after the policy became a different one.
    clock.advance(5_000)
    bench.gate = gate_factory(clock)
    await bench.policy("10655001", Tier.TRUSTED)
    again = await bench.pass_through([*small, *held])
    assert [(topic, e.id, e.data) for topic, e in again.events] == [(topic, e.id, e.data) for topic, e in first.events]
    assert await bench.database.fetchval("select sum(messages) from content_count") == 110
    assert await bench.database.fetchval("select count(*) from held_part") == 1


async def test_the_same_chunk_twice_in_one_batch_is_decided_once(bench, make):
    (event,) = make.task(PLAIN, 30)
    passed = await bench.pass_through([event, event])
    assert await bench.database.fetchval("select sum(messages) from content_count") == 30
    assert len({r.release_id for r in passed.released}) == 1


async def test_the_threshold_takes_effect_at_once(bench, make):
    await bench.policy("10655001", Tier.HIGH, threshold=5)
    assert (await bench.pass_through(make.task(PLAIN, 6))).released == []
    await bench.policy("10655001", Tier.HIGH, threshold=100)
    assert (await bench.pass_through(make.task("另一份完全不同的通知内容，请知悉并转告。", 6))).released_messages() == 6


async def test_a_suspended_port_is_refused_without_a_reviewer(bench, make):
    await bench.database.execute(
        "insert into port_policy (tenant, port, tier, suspended_at, changed_at, changed_by) "
        "values ('t1', '10655001', 'high', 1, 1, 'x')"
    )
    passed = await bench.pass_through(make.task(PLAIN, 3))
    assert passed.released == []
    assert [(d.decision, d.indices) for d in passed.decided] == [(Decision.PORT_SUSPENDED, [0, 1, 2])]
    assert await bench.held() == {}


@pytest.mark.parametrize(("refuse", "state"), [(True, "outside_review_hours"), (False, "queued")])
async def test_outside_review_hours_a_held_task_is_refused_or_waits(bench, make, gate_factory, clock, refuse, state):
    # The clock stands on a Sunday.
    bench.gate = gate_factory(clock, Hours(), refuse=refuse)
    await bench.pass_through(make.task(PLAIN, 60))
    (item,) = (await bench.held()).values()
    assert item["state"] == state


async def test_the_fast_lane_is_exempt_from_the_hours(bench, make, gate_factory, clock):
    await bench.policy("10655001", Tier.HIGH, fast_lane=True)
    bench.gate = gate_factory(clock, Hours())
    await bench.pass_through(make.task(PLAIN, 60))
    (item,) = (await bench.held()).values()
    assert (item["state"], item["fast_lane"]) == ("queued", True)


async def test_a_task_for_the_night_is_refused(bench, make, clock):
    await bench.policy("10655001", Tier.HIGH, window=Window(8 * 60, 20 * 60))
    await bench.pass_through(make.task(PLAIN, 60, not_before=clock.now_ms + 9 * 3_600_000))
    (item,) = (await bench.held()).values()
    assert item["state"] == "outside_sending_window"


async def test_a_withdrawal_that_overtook_the_task_is_kept(bench, make):
    (event,) = make.task(PLAIN, 60)
    task = event.chunk.entries[0].task_id
    await bench.database.execute("insert into withdrawn_task values ($1, 't1', 1)", task)
    await bench.pass_through([event])
    assert (await bench.held())[task]["state"] == "withdrawn"


async def test_inconsistent_chunks_are_invalid_and_their_neighbours_survive(bench, make):
    good = make.task(PLAIN, 3)[0]
    short = msgspec.structs.replace(good, chunk=msgspec.structs.replace(good.chunk, carriers="M"))
    gap = msgspec.structs.replace(good, chunk=msgspec.structs.replace(good.chunk, entries=[make.entry("x", 1)]))
    passed = await bench.pass_through([short, good, gap])
    assert [invalid.code for invalid in passed.invalid] == ["inconsistent", "inconsistent"]
    assert passed.released_messages() == 3


NIGHT = 10 * 3_600_000
"""From noon to 22:00, past the default sending window."""


@pytest.mark.parametrize("tier", [Tier.GENERAL, Tier.TRUSTED])
async def test_a_bulk_task_outside_its_ports_window_is_refused_whatever_the_tier(bench, make, clock, tier):
    await bench.policy("10655001", tier)
    clock.advance(NIGHT)
    first, *rest = make.task(PLAIN, 1_200)
    passed = await bench.pass_through([first])
    assert passed.released == []
    assert {(d.decision, d.reason) for d in passed.decided} == {
        (Decision.OUTSIDE_SENDING_WINDOW, "outside_sending_window")
    }
    assert await bench.held() == {}
    # A task is decided once: what arrives when the window is open goes the same way.
    clock.advance(NIGHT)
    assert (await bench.pass_through(rest)).released == []


async def test_a_task_released_inside_the_window_goes_on_after_its_end(bench, make, clock):
    await bench.policy("10655001", Tier.GENERAL)
    first, second = make.task(PLAIN, 1_000)
    assert (await bench.pass_through([first])).released_messages() == 500
    clock.advance(NIGHT)
    assert (await bench.pass_through([second])).released_messages() == 500


async def test_codes_and_account_notices_go_at_night(bench, make, clock):
    await bench.policy("10655001", Tier.GENERAL)
    clock.advance(NIGHT)
    assert (await bench.pass_through(make.singles("您尾号1234的账户支出10元。", 40))).released_messages() == 40
    assert (await bench.pass_through(make.task(PLAIN, 50))).released_messages() == 50
    make.lane = Lane.VERIFICATION
    codes = await bench.pass_through(make.task("您的验证码是123456，五分钟内有效。", 60), Lane.VERIFICATION)
    assert codes.released_messages() == 60


async def test_marketing_at_night_is_refused_even_one_by_one_unless_it_is_for_the_morning(bench, make, clock):
    await bench.policy("10655001", Tier.GENERAL)
    clock.advance(NIGHT)
    make.lane = Lane.MARKETING
    now, later = make.entry("双十一大促，回T退订", 1), make.entry("双十一大促，回T退订", 1, first=1)
    later = msgspec.structs.replace(later, not_before=clock.now_ms + 12 * 3_600_000)
    passed = await bench.pass_through([make.screened([now, later])], Lane.MARKETING)
    assert [r.indices for r in passed.released] == [[1]]
    refused = [d for d in passed.decided if d.decision is Decision.OUTSIDE_SENDING_WINDOW]
    assert [(d.indices, d.task_id) for d in refused] == [([0], now.task_id)]


async def test_a_batch_that_plainly_passes_is_one_call_by_policies_that_still_stand(bench, make, make_batch, clock):
    await bench.policy("10655009", Tier.TRUSTED)
    first = make.task(PLAIN, 400, port="10655009")
    assert await bench.gate.call(make_batch(first)) is None  # the policies were never read
    assert (await bench.pass_through(first)).released_messages() == 400
    second = make.task(PLAIN, 400, port="10655009")
    passed = await bench.pass_through(second)
    assert passed.released_messages() == 400
    assert await bench.gate.call(make_batch(second)) is not None
    assert await bench.database.fetchval("select count(*) from gate where released is null and not nothing") == 2
    again = await bench.pass_through(second)  # known by now: declined, and answered from its rows
    assert [(topic, e.id, e.data) for topic, e in again.events] == [(topic, e.id, e.data) for topic, e in passed.events]
    await bench.policy("10655009", Tier.HIGH)
    third = make.task(PLAIN, 400, port="10655009")
    assert await bench.gate.call(make_batch(third)) is not None  # by the snapshot they would pass
    assert (await bench.pass_through(third)).released == []
    assert await bench.gate.call(make_batch(third)) is None
