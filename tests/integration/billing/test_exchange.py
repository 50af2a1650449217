"""The billing system's side: it pulls over SFTP, acknowledges, and asks over HTTP for a file once more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncssh
import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI, Request, Response

from billing_sync.adapters.sftp import Account, SftpServer
from billing_sync.api import exchange, tariffs
from billing_sync.api.access import Access
from billing_sync.domain.acks import MAX_OCTETS
from billing_sync.handlers.fetched import FetchedNotes
from billing_sync.settings import BillingSettings
from servicekit.problems import Problem, problem_response

USER, PASSWORD = "boss", "correct horse"


@pytest_asyncio.fixture
async def server(office) -> AsyncIterator[SftpServer]:
    notes = FetchedNotes(office.database)
    made = SftpServer(
        folder=office.folder, state_dir=office.directory, host="127.0.0.1", port=0, account=Account(USER, PASSWORD),
        on_fetched=notes.offer,
    )  # fmt: skip
    await made.start()
    noting = asyncio.create_task(notes.run())
    yield made
    await made.stop()
    await notes.stop()
    await noting


@asynccontextmanager
async def logged_in(server: SftpServer, user: str = USER, password: str = PASSWORD):
    async with (
        asyncssh.connect(
            "127.0.0.1", server.port, username=user, password=password, known_hosts=None, client_keys=None, config=None
        ) as connection,
        connection.start_sftp_client() as client,
    ):
        yield client


@pytest_asyncio.fixture
async def offered(office, make) -> str:
    chunk = make.chunk()
    await office.take(make.answered(chunk, 7), make.reported(chunk, 7))
    office.clock.now += 5 * make.minute
    await office.clerk.once()
    (name,) = office.folder.offered()
    return name


@pytest_asyncio.fixture
async def api(office) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()

    @app.exception_handler(Problem)
    async def refuse(request: Request, problem: Problem) -> Response:
        return problem_response(problem, "en")

    access = Access(BillingSettings(operator_token="secret"))
    app.include_router(exchange.router(access, office.database, office.folder, office.clock))
    app.include_router(tariffs.router(access, office.database, office.clock))
    headers = {"authorization": "Bearer secret"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://b", headers=headers) as client:
        yield client


async def test_a_file_is_pulled_acknowledged_and_taken_from_the_folder(office, make, server, offered, api):
    expected = office.folder.read(offered)
    async with logged_in(server) as client:
        assert await client.listdir("/outgoing") == [".", "..", offered] or offered in await client.listdir("/outgoing")
        async with client.open(f"/outgoing/{offered}", "rb") as file:
            assert await file.read() == expected

        async def fetched() -> bool:
            return (await api.get("/v1/files/1")).json()["state"] == "fetched"

        await make.until(fetched)
        async with client.open(f"/ack/{offered}.ack", "wb") as file:
            await file.write(b"OK|7|0.3150\n")
    await office.clerk.once()
    shown = (await api.get("/v1/files/1")).json()
    assert (shown["state"], shown["records"], shown["total"]) == ("acknowledged", 7, "0.3150")
    assert office.folder.offered() == set()
    assert office.folder.acknowledgements() == []
    await office.clerk.once()
    assert office.folder.offered() == set()


async def test_what_one_worker_saw_acknowledged_no_worker_offers(office, server, offered):
    other = office.another_clerk(office.directory / "other")
    await other.once()
    assert other._folder.offered() == {offered}
    async with logged_in(server) as client, client.open(f"/ack/{offered}.ack", "wb") as file:
        await file.write(b"OK|7|0.3150\n")
    await office.clerk.once()
    await other.once()
    assert office.folder.offered() == other._folder.offered() == set()


@pytest.mark.parametrize(
    ("ack", "state", "reason"),
    [
        (b"OK|6|0.3150\n", "refused", "counted 6 and 0.3150, the file has 7 and 0.3150"),
        ("ERR|17|号码错误\n3|bad recipient\n".encode(), "refused", "17: 号码错误"),
        (b"whatever\n", "offered", ""),
    ],
)
async def test_a_refusal_is_kept_and_shown_and_the_file_stays(office, server, offered, api, ack, state, reason):
    async with logged_in(server) as client, client.open(f"/ack/{offered}.ack", "wb") as file:
        await file.write(ack)
    await office.clerk.once()
    shown = (await api.get("/v1/files/1")).json()
    assert (shown["state"], shown["refusal"]) == (state, reason)
    assert office.folder.offered() == {offered}
    assert office.folder.acknowledgements() == []
    # The right acknowledgement after all.
    async with logged_in(server) as client, client.open(f"/ack/{offered}.ack", "wb") as file:
        await file.write(b"OK|7|0.3150\n")
    await office.clerk.once()
    assert (await api.get("/v1/files/1")).json()["state"] == "acknowledged"


async def test_an_upload_is_not_seen_before_it_is_closed(office, server, offered):
    async with logged_in(server) as client:
        async with client.open(f"/ack/{offered}.ack", "wb") as file:
            await file.write(b"OK|7|")
            assert office.folder.acknowledgements() == []
            await file.write(b"0.3150\n")
        assert office.folder.acknowledgements() == [f"{offered}.ack"]


async def test_nothing_else_is_permitted(office, server, offered):
    async with logged_in(server) as client:
        refused = [
            client.open(f"/outgoing/{offered}", "wb"),
            client.open("/outgoing/other.txt", "wb"),
            client.remove(f"/outgoing/{offered}"),
            client.rename(f"/outgoing/{offered}", "/ack/x.ack"),
            client.rename("/ack/x.ack", "/outgoing/x.ack"),
            client.mkdir("/outgoing/new"),
            client.symlink("/etc/passwd", "/ack/passwd"),
            client.open("/ack/../../../../etc/passwd", "rb"),
            client.open("/../billing_escape.ack", "wb"),
            client.open("/ack/.hidden.ack", "wb"),
            client.open("/ack/x.ack", "rb"),
        ]
        for attempt in refused:
            with pytest.raises((asyncssh.SFTPPermissionDenied, asyncssh.SFTPNoSuchFile, asyncssh.SFTPFailure)):
                await attempt
        async with client.open("/ack/large.ack", "wb") as file:
            with pytest.raises(asyncssh.SFTPFailure):
                await file.write(b"x", offset=MAX_OCTETS)
        assert set(await client.listdir("/")) - {".", ".."} == {"outgoing", "ack"}
    assert office.folder.offered() == {offered}


@pytest.mark.parametrize(("user", "password"), [("boss", "wrong"), ("root", PASSWORD), ("boss", "")])
async def test_only_the_account_gets_in(server, user, password):
    with pytest.raises(asyncssh.PermissionDenied):
        async with logged_in(server, user, password):
            pass


async def test_there_is_no_shell(server):
    async with asyncssh.connect(
        "127.0.0.1", server.port, username=USER, password=PASSWORD, known_hosts=None, client_keys=None, config=None
    ) as connection:
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.run("id")


async def test_the_host_key_is_kept_over_restarts(office, server):
    again = SftpServer(
        folder=office.folder, state_dir=office.directory, host="127.0.0.1", port=0, account=Account(USER, PASSWORD),
        on_fetched=lambda _name: None,
    )  # fmt: skip
    await again.start()
    keys = [await asyncssh.get_server_host_key("127.0.0.1", one.port) for one in (server, again)]
    await again.stop()
    assert keys[0].export_public_key() == keys[1].export_public_key()


async def test_a_file_is_offered_once_more_with_the_same_octets(office, offered, api):
    before = office.folder.read(offered)
    office.folder.retire(offered)
    await office.database.execute("update file set acked_at = now()")
    shown = (await api.post("/v1/files/1/resend")).json()
    assert (shown["state"], shown["resent"], shown["name"]) == ("offered", 1, offered)
    assert office.folder.offered() == {offered}
    assert (office.folder.outgoing / offered).read_bytes() == before
    assert (await api.get("/v1/files/1/verify")).json()["ok"]
    (office.folder.outgoing / offered).write_bytes(b"changed")
    (office.folder.root.parent / "acknowledged" / offered).unlink()
    checked = (await api.get("/v1/files/1/verify")).json()
    assert (checked["ok"], checked["rows_agree"], checked["disk_agrees"]) == (False, True, False)


async def test_reconciliation_shows_what_does_not_add_up(office, make, offered, api):
    span = {"since": make.start, "until": make.start + make.minute}
    good = (await api.get("/v1/reconciliation", params=span)).json()
    assert (good["ok"], good["answered"], good["filed"], good["file_gaps"]) == (True, 7, 7, 0)
    assert good["by_carrier"] == [{"carrier": "CMCC", "link": "sim-1", "segments": 7}]
    await office.database.execute("update closure set indices[7] = 0")
    bad = (await api.get("/v1/reconciliation", params=span)).json()
    assert (bad["ok"], bad["missing"], bad["doubled_records"]) == (False, 1, 1)
    assert {(d["index"], d["kind"]) for d in bad["differences"]} == {(0, "doubled_record"), (6, "missing")}


async def test_tariffs_are_added_for_the_future_only(office, make, offered, api):
    body = {
        "tenant": "demo",
        "version": "2026-12",
        "per_segment": {"default": "0.0500"},
        "valid_from": office.clock.now + 1,
    }
    made = await api.post("/v1/tariffs", json=body)
    assert made.status_code == 201
    assert (await api.post("/v1/tariffs", json=body)).status_code == 409
    assert (await api.post("/v1/tariffs", json={**body, "version": "x", "valid_from": 1})).status_code == 422
    bad = {**body, "version": "y", "per_segment": {"CMCC": "0.0500"}}
    assert (await api.post("/v1/tariffs", json=bad)).status_code == 422
    listed = (await api.get("/v1/tariffs", params={"tenant": "demo"})).json()
    assert [tariff["version"] for tariff in listed] == ["2026-12", "standard"]


async def test_without_the_token_nothing_is_answered(api):
    for path in ("/v1/files", "/v1/files/1", "/v1/tariffs", "/v1/reconciliation"):
        assert (await api.get(path, headers={"authorization": "Bearer no"})).status_code == 401
    assert (await api.get("/v1/files/99")).status_code == 404
