"""The ways in, over HTTP, on the real database and broker: what is answered 202 is durable and published."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import io
import json
import secrets
import time

import openpyxl
import pytest

from servicekit.telemetry import is_sampled

pytestmark = pytest.mark.asyncio(loop_scope="module")

TASK = {
    "port": "95598",
    "class": "internal",
    "content": "【国网电力】今晚八点停电检修",
    "recipients": ["13800138000", "13000130000"],
}
SINGLE = {"port": "95598", "class": "verification", "to": "13800138000", "content": "【国网电力】验证码 482913"}


async def test_a_task_is_durable_when_answered_and_published_soon(service, eventually):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = await service.post("/v1/tasks", {**TASK, "ref": "r-1"}, traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    assert answer.status_code == 202, answer.text
    task = answer.json()
    row = await service.database.fetchrow("select * from chunk where task_id = $1::uuid", task["id"])
    assert row["recipients"] == [8613800138000, 8613000130000]
    assert row["carriers"] == "MU"
    chunk_id = row["chunk_id"].hex

    async def there():
        return (await service.published("internal")).get(chunk_id)

    (envelope,) = await eventually(there)
    assert envelope.key == "main:power"
    assert envelope.id == f"{chunk_id}:accepted:0"
    assert envelope.traceparent.split("-")[1] == trace
    chunk = envelope.data.chunk
    assert [chunk.text_of(index) for index in (0, 1)] == [TASK["content"]] * 2
    assert chunk.entries[0].task_id == task["id"]
    assert (chunk.entries[0].task_total, chunk.entries[0].task_chunks, chunk.entries[0].ref) == (2, 1, "r-1")
    shown = (await service.get(f"/v1/tasks/{task['id']}")).json()
    assert shown["counts"]["accepted"] == 2
    assert not shown["finished"]

    async def marked():
        return await service.database.fetchval(
            "select published_at from chunk_state where chunk_id = $1", row["chunk_id"]
        )

    await eventually(marked)


async def test_variables_travel_apart_from_the_text(service, eventually):
    body = {
        **TASK,
        "content": None,
        "template": "尊敬的{name}，电费{amount}元，{name}请缴",
        "recipients": [
            {"to": "13800138000", "variables": {"name": "张", "amount": "8"}},
            {"to": "138-0013-8001", "variables": {"name": "李", "amount": "9"}},
            {"to": "13800138002", "variables": {"name": "王"}},
            {"to": "123456", "variables": {"name": "王", "amount": "1"}},
        ],
    }
    del body["content"]
    task = (await service.post("/v1/tasks", body)).json()
    assert (task["total"], task["accepted"], task["rejected"]) == (4, 2, 2)
    assert next((r["index"], r["reason"]) for r in task["rejected_sample"]) == (2, "variable_missing")
    messages = (await service.get(f"/v1/tasks/{task['id']}/messages")).json()["items"]
    second = (await service.get(f"/v1/messages/{messages[1]['id']}")).json()
    assert second["text"] == "尊敬的李，电费9元，李请缴"
    rejected = (await service.get(f"/v1/tasks/{task['id']}/rejected")).json()["items"]
    assert [r["index"] for r in rejected] == [2, 3]


async def test_single_messages_share_a_chunk_and_keep_their_own_task(service, eventually):
    answers = await asyncio.gather(
        *(service.post("/v1/messages", {**SINGLE, "to": f"138{n:08d}", "ref": f"k{n}"}) for n in range(40))
    )
    assert {answer.status_code for answer in answers} == {202}
    made = [answer.json() for answer in answers]
    assert len({each["id"] for each in made}) == 40
    assert len({each["id"].partition("-")[0] for each in made}) < 20, "gathered, not one commit each"
    one = made[17]
    shown = (await service.get(f"/v1/messages/{one['id']}")).json()
    assert (shown["to"], shown["ref"], shown["task_id"]) == ("8613800000017", "k17", one["task_id"])
    task = (await service.get(f"/v1/tasks/{one['task_id']}")).json()
    assert (task["total"], task["message_id"], task["counts"]["accepted"]) == (1, one["id"], 1)
    chunk_id = one["id"].partition("-")[0]

    async def there():
        return (await service.published("verification")).get(chunk_id)

    (envelope,) = await eventually(there)
    index = int(one["id"].partition("-")[2])
    assert envelope.data.chunk.entry_of(index).task_id == one["task_id"]


@pytest.mark.parametrize(
    ("path", "changes", "status", "code"),
    [
        ("/v1/tasks", {"recipients": ["1380", "x"]}, 422, "no_valid_recipient"),
        ("/v1/tasks", {"recipients": []}, 422, "request.invalid"),
        ("/v1/tasks", {"port": "10010010", "_key": "narrow"}, 403, "port_not_registered"),
        ("/v1/tasks", {"template": "{x}"}, 422, "one_text_needed"),
        ("/v1/tasks", {"class": "urgent"}, 422, "request.invalid"),
        ("/v1/tasks", {"content": "字" * 671}, 422, "content_too_long"),
        ("/v1/tasks", {"callback_url": "file:///etc/passwd"}, 422, "callback_refused"),
        ("/v1/messages", {"to": "13800"}, 422, "recipient_invalid"),
        ("/v1/messages", {"to": None}, 422, "request.invalid"),
        ("/v1/messages", {"validity": 1}, 422, "validity_out_of_range"),
        ("/v1/messages", {"port": "106550", "_key": "narrow"}, 403, "port_not_allowed"),
    ],
)
@pytest.mark.parametrize("language", ["zh", "en"])
async def test_refusals_are_problem_details_in_both_languages(service, path, changes, status, code, language):
    body = {**(TASK if path == "/v1/tasks" else SINGLE), **changes}
    key = None
    if body.pop("_key", None):
        key = (await service.make_key(ports=["95598"]))["key"]
    answer = await service.post(path, body, key=key, accept_language=language)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == code
    assert any("\u4e00" <= character <= "\u9fff" for character in problem["title"]) == (language == "zh")
    assert "13800138000" not in answer.text


async def test_a_suspended_port_is_refused(service):
    port = {"enterprise": "power", "port": "1065999", "status": "suspended"}
    await service.post("/v1/admin/ports", port, key=service.operator)
    answer = await service.post("/v1/messages", {**SINGLE, "port": "1065999"})
    assert (answer.status_code, answer.json()["code"]) == (403, "port_suspended")


async def test_an_unregistered_sender_needs_the_flag_and_is_marked(service):
    made = (await service.post("/v1/messages", {**SINGLE, "port": "13900139000", "class": "internal"})).json()
    payload = await service.database.fetchval(
        "select payload from chunk where chunk_id = $1::uuid", made["id"].partition("-")[0]
    )
    assert json.loads(payload)["chunk"]["entries"][0]["registered"] is False


# -- idempotency


async def test_the_same_key_and_body_give_the_same_answer(service):
    key = secrets.token_hex(8)
    for path, body in (("/v1/tasks", TASK), ("/v1/messages", SINGLE)):
        first = await service.post(path, body, idempotency_key=key + path[4:5])
        again = await service.post(path, body, idempotency_key=key + path[4:5])
        assert first.status_code == again.status_code == 202
        assert first.content == again.content
        assert again.headers["idempotent-replay"] == "true"
        other = await service.post(path, {**body, "ref": "other"}, idempotency_key=key + path[4:5])
        assert (other.status_code, other.json()["code"]) == (409, "idempotency.conflict")


async def test_twenty_at_once_with_one_key_are_one(service):
    for path, body in (("/v1/tasks", TASK), ("/v1/messages", SINGLE)):
        key = secrets.token_hex(8)
        before = await service.database.fetchval("select sum(count) from chunk")
        answers = await asyncio.gather(*(service.post(path, body, idempotency_key=key) for _ in range(20)))
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.content for answer in answers}) == 1
        after = await service.database.fetchval("select sum(count) from chunk")
        assert after - before == (2 if path == "/v1/tasks" else 1)


async def test_a_key_used_in_another_process_is_found_in_the_database(service):
    key = secrets.token_hex(8)
    body = json.dumps(SINGLE).encode()
    await service.database.execute(
        "insert into idempotency (key_id, idem_key, body_digest, status, answer) values ($1, $2, $3, 202, $4)",
        service.key_id, key, hashlib.sha256(body).digest(), b'{"id":"from-elsewhere"}',
    )  # fmt: skip
    headers = {"authorization": f"Bearer {service.key}"}
    mixed = await asyncio.gather(
        service.http.post("/v1/messages", content=body, headers={**headers, "idempotency-key": key}),
        *(service.post("/v1/messages", SINGLE) for _ in range(5)),
        service.post("/v1/messages", SINGLE, idempotency_key=secrets.token_hex(8)),
    )
    assert [answer.status_code for answer in mixed] == [202] * 7
    assert mixed[0].json() == {"id": "from-elsewhere"}
    assert all("-" in answer.json()["id"] for answer in mixed[1:])
    other = await service.post("/v1/messages", {**SINGLE, "to": "13800138009"}, idempotency_key=key)
    assert other.status_code == 409


async def test_another_callers_key_is_another_key(service):
    key = secrets.token_hex(8)
    other = (await service.make_key())["key"]
    first = await service.post("/v1/messages", SINGLE, idempotency_key=key)
    second = await service.post("/v1/messages", SINGLE, idempotency_key=key, key=other)
    assert first.json()["id"] != second.json()["id"]


# -- files


def sheet(rows) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


ROWS = [["手机号", "name", "amount"], ["13800138000", "张", 86.4], ["13900139000", "李", 9], ["1380", "王", 1]]
CSV = "\n".join(",".join(map(str, row)) for row in ROWS)


async def upload(service, name, content, fields, **headers):
    return await service.http.post(
        "/v1/tasks/upload",
        data={"port": "95598", "class": "internal", **fields},
        files={"file": (name, content)},
        headers={"authorization": f"Bearer {service.key}", **headers},
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", CSV.encode()),
        ("a.csv", CSV.encode("gb18030")),
        ("a.csv", b"\xef\xbb\xbf" + CSV.replace(",", ";").encode()),
        ("a.txt", CSV.replace(",", "\t").encode()),
        ("a.xlsx", sheet(ROWS)),
    ],
)
async def test_files_of_every_kind_give_the_same_task(service, name, content):
    answer = await upload(service, name, content, {"template": "{name}您的电费{amount}元"})
    assert answer.status_code == 202, answer.text
    task = answer.json()
    assert (task["total"], task["accepted"], task["rejected"]) == (3, 2, 1)
    messages = (await service.get(f"/v1/tasks/{task['id']}/messages")).json()["items"]
    assert [each["to"] for each in messages] == ["8613800138000", "8613900139000"]
    text = (await service.get(f"/v1/messages/{messages[0]['id']}")).json()["text"]
    assert text == "张您的电费86.4元"


async def test_a_plain_list_of_numbers_needs_no_header(service):
    answer = await upload(service, "n.txt", "13800138000\n\n13900139000\r\n", {"content": "您好"})
    assert answer.json()["accepted"] == 2


async def test_a_numeric_column_of_a_sheet_is_numbers(service):
    answer = await upload(service, "n.xlsx", sheet([["to"], [13800138000.0], [13900139000]]), {"content": "您好"})
    assert answer.json()["accepted"] == 2


@pytest.mark.parametrize(
    ("name", "content", "fields", "status", "code"),
    [
        ("a.xlsx", b"PK\x03\x04 no archive", {"content": "x"}, 422, "file_invalid"),
        ("a.xlsx", b"", {"content": "x"}, 422, "file_invalid"),
        ("a.csv", b"", {"content": "x"}, 422, "file_invalid"),
        ("a.exe", b"13800138000", {"content": "x"}, 422, "file_invalid"),
        ("a.csv", b"to,x\n13800138000,1", {"template": "{y}"}, 422, "file_invalid"),
        ("a.csv", b"13800138000", {"template": "{y}"}, 422, "file_invalid"),
        ("a.csv", b"\xff\xfe\xff,\x80\n" * 5, {"content": "x"}, 422, "file_invalid"),
        ("a.csv", b'"' + b"1" * 5000, {"content": "x"}, 422, "file_invalid"),
        ("a.csv", b"13800138000", {"content": "x", "class": "nope"}, 422, "request.invalid"),
        ("a.csv", b"13800138000", {"content": "x", "at": "yesterday"}, 422, "request.invalid"),
    ],
)
async def test_bad_files_are_refused_with_a_reason(service, eventually, name, content, fields, status, code):
    answer = await upload(service, name, content, fields)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text

    async def nothing_is_left():
        # The service is shared: what an earlier test had accepted may still be on its way out.
        return not list((service.settings.state_dir / f"spool-{service.settings.instance}").iterdir())

    await eventually(nothing_is_left)


async def test_an_upload_repeated_with_another_boundary_is_the_same(service):
    key = secrets.token_hex(8)
    first = await upload(service, "a.csv", b"13800138000", {"content": "x"}, **{"idempotency-key": key})
    again = await upload(service, "a.csv", b"13800138000", {"content": "x"}, **{"idempotency-key": key})
    other = await upload(service, "a.csv", b"13800138001", {"content": "x"}, **{"idempotency-key": key})
    assert first.content == again.content
    assert other.status_code == 409


async def test_a_large_task_is_cut_published_whole_and_paged(service, eventually):
    count = 3_210
    numbers = [f"139{n:08d}" for n in range(count)]
    trace = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
    task = (await service.post("/v1/tasks", {**TASK, "recipients": numbers}, traceparent=trace)).json()
    assert task["accepted"] == count

    async def all_published():
        found = await service.published("internal")
        mine = [e[0] for e in found.values() if e[0].data.chunk.entries[0].task_id == task["id"]]
        return mine if len(mine) == 7 else None

    envelopes = await eventually(all_published)
    chunks = [envelope.data.chunk for envelope in envelopes]
    traces = [envelope.traceparent for envelope in envelopes]
    assert {each.split("-")[1] for each in traces} == {trace.split("-")[1]}
    assert sorted(map(is_sampled, traces)) == [False] * 6 + [True], "only the first chunk is followed"
    assert sorted(n for chunk in chunks for n in chunk.recipients) == [8613900000000 + n for n in range(count)]
    assert {chunk.entries[0].task_chunks for chunk in chunks} == {7}
    seen, after = [], ""
    while after is not None:
        page = (await service.get(f"/v1/tasks/{task['id']}/messages", after=after, limit=1000)).json()
        seen += [item["to"] for item in page["items"]]
        after = page["next"]
    assert sorted(seen) == [f"86{number}" for number in numbers]
    one = (await service.get(f"/v1/tasks/{task['id']}/messages", number="13900003000")).json()["items"]
    assert [item["to"] for item in one] == ["8613900003000"]
    none = (await service.get(f"/v1/tasks/{task['id']}/messages", state="delivered")).json()["items"]
    assert none == []
    spool = service.settings.state_dir / f"spool-{service.settings.instance}"

    async def swept():
        return not list(spool.iterdir())

    await eventually(swept)


# -- keys


async def test_without_a_key_nothing_is_told(service):
    for key in ("", "gx_wrong", "x" * 300, service.operator):
        assert (await service.post("/v1/messages", SINGLE, key=key)).status_code == 401
        assert (await service.get("/v1/tasks", key=key)).status_code == 401


async def test_scopes_are_kept_apart(service):
    reader = (await service.make_key(scopes=["read"]))["key"]
    sender = (await service.make_key(scopes=["send"]))["key"]
    assert (await service.post("/v1/messages", SINGLE, key=reader)).json()["code"] == "auth.scope_missing"
    assert (await service.get("/v1/tasks", key=sender)).json()["code"] == "auth.scope_missing"
    assert (await service.post("/v1/keys", {"name": "x"}, key=sender)).status_code == 403
    assert (await service.post("/v1/admin/enterprises", {"enterprise": "e", "name": "e"})).status_code == 403


async def test_what_belongs_to_another_enterprise_does_not_exist(service):
    other = (await service.make_key(enterprise="gas"))["key"]
    task = (await service.post("/v1/tasks", TASK)).json()["id"]
    single = (await service.post("/v1/messages", SINGLE)).json()
    for path in (f"/v1/tasks/{task}", f"/v1/tasks/{single['task_id']}", f"/v1/messages/{single['id']}"):
        assert (await service.get(path, key=other)).status_code == 404
        assert (await service.get(path)).status_code == 200
    assert (await service.post(f"/v1/tasks/{task}/cancel", key=other)).status_code == 404
    assert (await service.get("/v1/ledger", key=other, task=task)).status_code == 404


async def test_a_key_is_rotated_with_grace_and_revoked_at_once(service):
    made = await service.make_key(scopes=["send", "read"])
    rotated = (await service.post(f"/v1/keys/{made['key_id']}/rotate", {"grace_seconds": 60})).json()
    for key in (made["key"], rotated["key"]):
        assert (await service.post("/v1/messages", SINGLE, key=key)).status_code == 202
    again = (await service.post(f"/v1/keys/{made['key_id']}/rotate", {"grace_seconds": 0})).json()
    assert (await service.post("/v1/messages", SINGLE, key=rotated["key"])).status_code == 401
    assert (await service.post(f"/v1/keys/{made['key_id']}/revoke")).json() == {"done": True}
    assert (await service.post("/v1/messages", SINGLE, key=again["key"])).status_code == 401
    listed = (await service.get("/v1/keys")).json()["items"]
    assert "digest" not in json.dumps(listed)
    assert next(k for k in listed if k["key_id"] == made["key_id"])["revoked_at"]


async def test_an_admin_key_cannot_give_more_than_it_has(service):
    narrow = (await service.make_key(scopes=["admin", "send"], ports=["95598"]))["key"]
    for body, status in (
        ({"name": "a1"}, 403),
        ({"name": "a2", "ports": ["106550"]}, 403),
        ({"name": "a3", "ports": ["95598"], "any_sender": True}, 403),
        ({"name": "a4", "ports": ["95598"]}, 201),
        ({"name": "a4", "ports": ["95598"]}, 409),
    ):
        assert (await service.post("/v1/keys", body, key=narrow)).status_code == status


async def test_a_rate_is_kept_with_a_time_to_come_back(service):
    key = (await service.make_key(rate=1, burst=3))["key"]
    answers = [await service.post("/v1/messages", SINGLE, key=key) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert answers[3].headers["retry-after"] == "1"


async def test_signed_requests(service):
    made = await service.make_key(require_signature=True)
    body = json.dumps(SINGLE).encode()

    def headers(at: int, content: bytes = body, path: str = "/v1/messages") -> dict[str, str]:
        text = f"{at}\nPOST\n{path}\n{hashlib.sha256(content).hexdigest()}"
        mac = hmac.new(made["signing_secret"].encode(), text.encode(), hashlib.sha256).hexdigest()
        return {"authorization": f"Bearer {made['key']}", "guanxin-timestamp": str(at), "guanxin-signature": mac}

    async def send(sent_headers, content=body, path="/v1/messages"):
        answer = await service.http.post(path, content=content, headers=sent_headers)
        return answer.status_code, answer.json().get("code")

    now = int(time.time())
    good = headers(now)
    assert (await send(good))[0] == 202
    assert await send(good) == (401, "auth.signature_replayed")
    assert await send(headers(now - 1), content=body + b" ") == (401, "auth.signature_invalid")
    assert await send(headers(now - 1_000)) == (401, "auth.signature_invalid")
    assert await send({"authorization": f"Bearer {made['key']}"}) == (401, "auth.signature_invalid")
    task = json.dumps(TASK).encode()
    assert (await send(headers(now, task, "/v1/tasks"), task, "/v1/tasks"))[0] == 202


# -- the rest of the ways in


async def test_a_preview_costs_nothing_and_tells_segments(service):
    before = await service.database.fetchval("select count(*) from chunk")
    answer = await service.post("/v1/preview", {"content": "电费{x}元", "variables": {"x": "字" * 70}})
    assert answer.json()["segments"] == 2
    assert await service.database.fetchval("select count(*) from chunk") == before


async def test_bodies_have_bounds(service):
    huge = await service.http.post(
        "/v1/messages", content=b"x" * 70_000, headers={"authorization": f"Bearer {service.key}"}
    )
    assert huge.status_code == 413
    for body in (b"{", b"\xff", b"[" * 10_000, b"null"):
        for path in ("/v1/messages", "/v1/tasks"):
            answer = await service.http.post(path, content=body, headers={"authorization": f"Bearer {service.key}"})
            assert answer.status_code in (400, 422), answer.text


async def test_the_answers_are_as_documented(service):
    from ingest.api import documents

    task = (await service.post("/v1/tasks", TASK)).json()
    single = (await service.post("/v1/messages", SINGLE)).json()
    documents.TaskAccepted.model_validate(task)
    documents.MessageAccepted.model_validate(single)
    for path, model in (
        (f"/v1/tasks/{task['id']}", documents.Task),
        (f"/v1/tasks/{single['task_id']}", documents.Task),
        ("/v1/tasks", documents.TaskPage),
        (f"/v1/tasks/{task['id']}/messages", documents.MessagePage),
        (f"/v1/tasks/{task['id']}/rejected", documents.RejectedPage),
        (f"/v1/messages/{single['id']}", documents.Message),
        ("/v1/numbers/13800138000", documents.NumberTimeline),
        ("/v1/replies", documents.ReplyPage),
        ("/v1/ledger", documents.Ledger),
        ("/v1/webhooks", documents.WebhookPage),
        ("/v1/keys", documents.KeyPage),
    ):
        answer = await service.get(path)
        assert answer.status_code == 200, answer.text
        model.model_validate(answer.json())
