"""Reviewers at work in Chromium: login, live queue, keyboard, undo, standards, audit log, languages."""

from __future__ import annotations

from io import BytesIO

import httpx
import pytest
import pytest_asyncio
from openpyxl import load_workbook
from playwright.async_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

expect.set_options(timeout=20_000)

BILL = "【城东供电】尊敬的客户，您本月电费已出账，请及时缴纳，感谢您的支持。"
LOAN = "【城东供电】尊敬的客户，消费贷款额度已提升，点击立即领取，先到先得。"


async def test_a_wrong_password_is_refused_and_five_lock_the_account(served, browse):
    person = await browse()
    page = person.page
    for _ in range(4):
        await person.sign_in("reviewer", "wrong-password")
        await expect(page.locator(".alert-danger")).to_contain_text("用户名或密码错误")
    await person.sign_in("reviewer", "wrong-password")
    await expect(page.locator(".alert-danger")).to_contain_text("锁定")
    # Locked also for the right one.
    await person.sign_in("reviewer")
    await expect(page.locator(".alert-danger")).to_contain_text("锁定")
    assert all("401" in complaint for complaint in person.complaints)
    person.complaints.clear()


async def test_the_queue_updates_itself_and_the_keyboard_decides(served, browse):
    person = await browse()
    await person.at_queue("reviewer")
    page = person.page
    await expect(page.locator(".gx-empty")).to_be_visible()
    bill = await served.hold(BILL, 70)
    # No reload: the row comes by itself.
    await expect(page.locator(".rv-row")).to_have_count(1)
    loan = await served.hold(LOAN, 80, port="10655002", word="贷款")
    await expect(page.locator(".rv-row")).to_have_count(2)
    await page.keyboard.press("j")
    await expect(page.locator(".rv-current")).to_contain_text("电费")
    await page.keyboard.press("j")
    await expect(page.locator(".rv-current")).to_contain_text("贷款")
    await page.keyboard.press("k")
    await page.keyboard.press("c")
    await expect(page.locator(".rv-current")).to_contain_text("reviewer 已领取")
    await page.keyboard.press("a")
    await expect(page.locator(".gx-toast-success").last).to_contain_text("已放行 1 个任务")
    await expect(page.locator(".rv-row")).to_have_count(1)
    assert await served.state(bill) == "approved"
    await page.keyboard.press("u")
    await expect(page.locator(".rv-row")).to_have_count(2)
    assert await served.state(bill) == "claimed"
    assert await served.state(loan) == "queued"


async def test_the_task_page_shows_why_and_a_rejection_cites_a_standard(served, browse):
    task = await served.hold(LOAN, 80, word="贷款")
    person = await browse()
    await person.at_queue("reviewer")
    page = person.page
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/tasks/{task}")
    await expect(page.locator("#rv-content mark")).to_have_text("贷款")
    await expect(page.locator(".rv-phone-bubble")).to_have_text(LOAN)
    await expect(page.locator(".rv-sample li").first).to_contain_text("138****8000")
    await page.keyboard.press("r")
    await expect(page.locator("#rv-reject")).to_be_visible()
    await expect(page.locator("#rv-confirm")).to_be_disabled()
    await page.keyboard.type("YW-2")
    await expect(page.locator("#rv-confirm")).to_be_enabled()
    await page.keyboard.press("Enter")
    await expect(page.locator(".gx-toast")).to_contain_text("已驳回 1 个任务")
    row = await served.database.fetchrow("select state, cited, decided_by from item where task_id = $1", task)
    assert tuple(row) == ("rejected", "YW-2", "reviewer")


async def test_what_the_reviewer_did_not_see_is_never_part_of_his_decision(served, browse):
    task = await served.hold(LOAN, 60, chunks=3)
    person = await browse()
    await person.at_queue("reviewer")
    page = person.page
    await page.goto(f"{served.url}/tasks/{task}")
    await served.hold(LOAN, 60, task=task, chunks=3, word="贷款")
    await page.keyboard.press("a")
    await expect(page.locator(".gx-toast")).to_contain_text("有新内容到达")
    assert await served.state(task) == "queued"
    assert len(person.complaints) == 1
    assert "409" in person.complaints.pop()
    await page.locator(".gx-toast button", has_text="重新查看").click()
    await expect(page.locator(".rv-side mark").first).to_have_text("贷款")
    await page.keyboard.press("a")
    await page.wait_for_url("**/queue")
    await expect(page.locator(".gx-empty")).to_be_visible()
    # After the decision it is an item of its own, which says so and leads to the decision before.
    await served.hold(LOAN, 60, task=task, chunks=3, word="立即领取")
    await expect(page.locator(".rv-row")).to_contain_text("决定之后到达")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(page.locator("#rv-rounds")).to_contain_text("须单独审核")
    await page.click("#gx-language")
    await expect(page.locator("#rv-rounds")).to_contain_text("Earlier decision #1 Approved Decided by reviewer")
    await page.locator("#rv-rounds a").click()
    await page.wait_for_url(f"**/tasks/{task}")
    await expect(page.locator("#rv-rounds")).to_contain_text("What arrived later #2 Queued")


async def test_an_approval_on_the_task_page_leads_on_and_can_still_be_undone(served, browse):
    first = await served.hold(BILL, 60)
    second = await served.hold(LOAN, 60, port="10655002")
    person = await browse()
    await person.at_queue("supervisor")
    page = person.page
    await page.goto(f"{served.url}/tasks/{first}")
    await page.fill("#rv-approve-note", "已电话核实")
    await page.locator("[data-act=approve]").click()
    await page.wait_for_url(f"**/tasks/{second}")
    assert await served.database.fetchval("select note from item where task_id = $1", first) == "已电话核实"
    await expect(page.locator(".gx-toast-success")).to_contain_text("已放行 1 个任务")
    await page.keyboard.press("u")
    await page.wait_for_url(f"**/tasks/{first}")
    assert await served.state(first) == "claimed"
    await page.locator("[data-act=fastlane]").click()
    await expect(page.locator(".badge.bg-orange")).to_contain_text("快速通道")


async def test_the_queue_is_filtered_and_keeps_its_filter_when_it_updates(served, browse):
    await served.hold(BILL, 60)
    await served.hold(LOAN, 60, port="10655002", word="贷款")
    person = await browse()
    await person.at_queue("reviewer")
    page = person.page
    await expect(page.locator(".rv-row")).to_have_count(2)
    await page.select_option("#f-risk", "screened")
    await expect(page.locator(".rv-row")).to_have_count(1)
    await expect(page.locator(".rv-row")).to_contain_text("贷款")
    await served.hold("【城东供电】今日气温骤降，请注意防寒保暖，出行注意安全。", 61)
    await expect(page.locator("#rv-waiting")).to_contain_text("3")
    await expect(page.locator(".rv-row")).to_have_count(1)
    await page.fill("#f-port", "999")
    await expect(page.locator(".gx-empty")).to_contain_text("没有符合筛选条件")


async def test_showing_a_number_in_full_is_recorded(served, browse):
    task = await served.hold(BILL, 60)
    person = await browse()
    await person.at_queue("reviewer")
    await person.page.goto(f"{served.url}/tasks/{task}")
    await person.page.locator("[data-reveal]").first.click()
    await expect(person.page.locator(".rv-sample li").first).to_contain_text("8613800138000")
    row = await served.database.fetchrow("select actor, subject from audit where action = 'number.reveal'")
    assert tuple(row) == ("reviewer", task)


async def test_a_cluster_is_decided_together(served, browse):
    tasks = [await served.hold(f"{BILL}编号{n}", 60) for n in range(5)]
    person = await browse()
    await person.at_queue("reviewer")
    page = person.page
    await expect(page.locator(".rv-row")).to_have_count(1)
    await expect(page.locator(".rv-row")).to_contain_text("5 个任务")
    await page.locator(".rv-check").click()
    await page.locator("#rv-bar [data-act=approve]").click()
    await expect(page.locator(".gx-toast-success")).to_contain_text("已放行 5 个任务")
    assert {await served.state(task) for task in tasks} == {"approved"}


async def test_two_reviewers_see_each_others_claims_and_never_decide_twice(served, browse):
    task = await served.hold(BILL, 60)
    one, two = await browse(), await browse()
    await one.at_queue("reviewer")
    await two.at_queue("supervisor")
    await one.page.keyboard.press("j")
    await one.page.keyboard.press("c")
    await expect(two.page.locator(".rv-row")).to_contain_text("reviewer 已领取")
    await two.page.keyboard.press("j")
    await two.page.keyboard.press("a")
    await expect(two.page.locator(".gx-toast-warning")).to_contain_text("已被他人领取")
    assert await served.state(task) == "claimed"
    assert all("409" in complaint for complaint in two.complaints)
    two.complaints.clear()


async def test_nobody_decides_his_own_task(served, browse):
    task = await served.hold(BILL, 60, user="oa")
    person = await browse()
    await person.at_queue("reviewer")
    await expect(person.page.locator(".rv-check input")).to_be_disabled()
    await person.page.goto(f"{served.url}/tasks/{task}")
    await expect(person.page.locator(".alert-warning")).to_contain_text("须由他人审核")
    await expect(person.page.locator("[data-act=approve]")).to_have_count(0)


async def test_the_language_can_be_switched_and_stays(served, browse):
    await served.hold(BILL, 60)
    person = await browse(locale="en-US")
    await person.at_queue("reviewer")
    page = person.page
    await expect(page.locator("h2.page-title")).to_have_text("Review queue")
    await page.click("#gx-language")
    await expect(page.locator("h2.page-title")).to_have_text("审核队列")
    await page.goto(f"{served.url}/report")
    await expect(page.locator("h2.page-title")).to_have_text("审核报表")
    await page.click("#gx-language")
    await expect(page.locator("h2.page-title")).to_have_text("Reports")
    assert await page.get_attribute("html", "lang") == "en"


@pytest.mark.parametrize("width", [400, 1440])
async def test_every_page_of_every_role_draws_without_complaint_or_overflow(served, browse, width):
    task = await served.hold(LOAN, 60, word="贷款")
    person = await browse(width=width)
    await person.at_queue("admin")
    for path in ("/queue", f"/tasks/{task}", "/report", "/ports", "/audit", "/users", "/account"):
        await person.page.goto(served.url + path)
        await expect(person.page.locator("h2.page-title")).to_be_visible()
        assert not await person.page.evaluate("document.documentElement.scrollWidth > innerWidth + 1"), path


async def test_the_audit_log_lists_actions_and_verifies_its_chain(served, browse):
    await served.hold(BILL, 60)
    reviewer, auditor = await browse(), await browse()
    await reviewer.at_queue("reviewer")
    await reviewer.page.keyboard.press("j")
    await reviewer.page.keyboard.press("a")
    await expect(reviewer.page.locator(".gx-toast-success")).to_be_visible()
    await auditor.at_queue("auditor")
    # An auditor reads and decides nothing.
    await expect(auditor.page.locator(".rv-check")).to_have_count(0)
    await auditor.page.goto(f"{served.url}/audit")
    await expect(auditor.page.locator("tbody")).to_contain_text("放行")
    await auditor.page.click("#rv-verify")
    await expect(auditor.page.locator("#rv-verified .alert-success")).to_contain_text("完整")
    await served.database.execute("alter table audit disable trigger audit_no_change")
    await served.database.execute("update audit set actor = 'x' where seq = 3")
    await auditor.page.click("#rv-verify")
    await expect(auditor.page.locator("#rv-verified .alert-danger")).to_contain_text("第 3 条")


async def test_an_administrator_sets_the_threshold_and_it_acts_at_once(served, browse):
    person = await browse()
    await person.at_queue("admin")
    page = person.page
    await page.goto(f"{served.url}/ports")
    await page.fill("input[name=threshold]", "100")
    await page.locator("form[action='/ports/threshold'] button").click()
    await expect(page.locator(".gx-figure")).to_have_text("100")
    await served.hold("六十条以下不再扣留的一条普通通知，请各位知悉。", 60)
    assert await served.database.fetchval("select count(*) from item") == 0
    await page.fill("#p-port", "10655777")
    await page.select_option("#p-tier", "trusted")
    await page.locator("form[action='/ports'] button").click()
    await expect(page.locator("tbody")).to_contain_text("10655777")


async def test_an_administrator_makes_an_account_that_can_sign_in(served, browse):
    admin, newcomer = await browse(), await browse()
    await admin.at_queue("admin")
    await admin.page.goto(f"{served.url}/users")
    await admin.page.fill("#u-name", "wangfang")
    await admin.page.fill("#u-display", "王芳")
    await admin.page.fill("#u-password", "a-long-password")
    await admin.page.locator("form[action='/users'] button").click()
    await expect(admin.page.locator("tbody")).to_contain_text("王芳")
    await newcomer.sign_in("wangfang", "a-long-password")
    await newcomer.page.wait_for_url("**/queue")


@pytest_asyncio.fixture(loop_scope="module")
async def sign_in(served):
    """Sign somebody in without a browser: (client, CSRF token); the clients are closed afterwards."""
    clients = []

    async def new(role):
        client = httpx.AsyncClient(base_url=served.url, timeout=60)
        clients.append(client)
        page = await client.get("/login")
        token = page.text.split('name="login" value="')[1].split('"')[0]
        form = {"name": role, "password": f"{role}-secret-1", "login": token}
        assert (await client.post("/login", data=form)).status_code == 303
        queue = await client.get("/queue")
        return client, queue.text.split('name="csrf-token" content="')[1].split('"')[0]

    yield new
    for client in clients:
        await client.aclose()


async def test_what_changes_something_needs_the_token_and_the_role(served, sign_in):
    task = await served.hold(BILL, 60)
    client, token = await sign_in("reviewer")
    assert (await client.post("/act/approve", data={"task": task})).status_code == 403
    assert (await client.post("/act/approve", data={"task": task, "csrf": "x"})).status_code == 403
    assert (await client.post("/ports/threshold", data={"threshold": "1", "csrf": token})).status_code == 403
    assert (await client.post("/users", data={"name": "x", "csrf": token})).status_code == 403
    assert (await client.post("/act/fastlane", data={"task": task, "csrf": token})).status_code == 403
    assert (await client.post("/act/reject", data={"task": task, "csrf": token})).status_code == 422
    assert (await client.get("/audit")).status_code == 403
    auditor, auditor_token = await sign_in("auditor")
    assert (await auditor.post("/act/approve", data={"task": task, "csrf": auditor_token})).status_code == 403
    assert await served.state(task) == "queued"
    assert (await client.post("/act/approve", data={"task": task, "csrf": token})).status_code == 200


async def test_pages_need_a_session_and_tell_the_browser_to_be_strict(served):
    async with httpx.AsyncClient(base_url=served.url, timeout=60) as client:
        for path in ("/queue", "/report", "/users", "/events", "/tasks/x"):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/login")
        login = await client.get("/login")
        policy = login.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "<script>" not in login.text
        assert " style=" not in login.text
        assert "httponly" in login.headers["set-cookie"].lower()
        asset = login.text.split('href="/assets/console/console.css')[1].split('"')[0]
        styles = await client.get(f"/assets/console/console.css{asset}")
        assert "immutable" in styles.headers["cache-control"]
        assert (await client.get("/assets/../review/settings.py")).status_code == 404
        stale = await client.post("/login", data={"name": "reviewer", "password": "x", "login": "forged"})
        assert stale.status_code == 400


async def test_the_report_and_the_audit_log_can_be_taken_away(served, sign_in):
    await served.hold(BILL, 60)
    client, _ = await sign_in("supervisor")
    table = (await client.get("/report.csv")).text
    assert "待审,1,60" in table
    book = load_workbook(BytesIO((await client.get("/report.xlsx")).content))
    assert [cell.value for cell in list(book.active.rows)[1]][1:] == ["待审", 1, 60]
    assert "user.login" in (await client.get("/audit.csv")).text


async def test_a_login_leads_only_to_our_own_pages(served):
    async with httpx.AsyncClient(base_url=served.url, timeout=60) as client:
        page = await client.get("/login")
        token = page.text.split('name="login" value="')[1].split('"')[0]
        form = {"name": "reviewer", "password": "reviewer-secret-1", "login": token, "next": "//evil.example/"}
        assert (await client.post("/login", data=form)).headers["location"] == "/queue"


async def test_a_session_ends_when_unused_and_when_signed_out(served, sign_in):
    client, token = await sign_in("reviewer")
    await served.database.execute("update console_session set seen_at = seen_at - 3600001")
    assert (await client.get("/queue")).status_code == 303
    client, token = await sign_in("reviewer")
    assert (await client.post("/logout", data={"csrf": token})).status_code == 303
    assert (await client.get("/queue")).status_code == 303


async def test_the_json_api_lists_decides_and_verifies(served):
    task = await served.hold(BILL, 60)
    headers = {"authorization": "Bearer gxop_test"}
    async with httpx.AsyncClient(base_url=served.url, headers=headers, timeout=60) as client:
        listed = (await client.get("/v1/review/tasks")).json()
        assert [(t["id"], t["state"], t["total"]) for t in listed["tasks"]] == [(task, "queued", 60)]
        wrong = await client.post(f"/v1/review/tasks/{task}/reject", json={"cite": "9B-99"})
        assert (wrong.status_code, wrong.json()["code"]) == (422, "review.unknown_standard")
        assert (await client.post(f"/v1/review/tasks/{task}/fastlane")).status_code == 200
        assert (await client.post(f"/v1/review/tasks/{task}/approve")).json()["done"] == [task]
        twice = await client.post(f"/v1/review/tasks/{task}/approve")
        assert (twice.status_code, twice.json()["code"]) == (409, "review.not_decided")
        assert (await client.post(f"/v1/review/tasks/{task}/undo")).json()["done"] == [task]
        assert (await client.get("/v1/audit/verify")).json()["whole"] is True
        assert (await client.get(f"/v1/review/tasks/{'0' * 32}")).status_code == 404
        put = await client.put("/v1/ports/10655009/policy", json={"tier": "trusted", "window": "08:00-20:00"})
        assert (put.json()["tier"], put.json()["window"]) == ("trusted", "08:00-20:00")
        bad = await client.put("/v1/ports/10655009/policy", json={"tier": "trusted", "window": "20:00-08:00"})
        assert bad.status_code == 422
        assert (await client.get("/v1/ports")).json()["threshold"] == 50
    async with httpx.AsyncClient(base_url=served.url, timeout=60) as client:
        assert (await client.get("/v1/review/tasks")).status_code == 401
        bad = await client.get("/v1/review/tasks", headers={"authorization": "Bearer nothing"})
        assert bad.json()["code"] == "auth.unauthenticated"
