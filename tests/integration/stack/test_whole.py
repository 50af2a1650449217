"""The whole stack, every service in it: what `make run` gives, before any message is sent."""

import os
import signal

import httpx
import pytest
from stackrun import await_until

from guanxin.stack.services import SERVICES

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240), pytest.mark.xdist_group("stack")]


def test_every_service_is_healthy_and_its_own_process(stack):
    document = stack.status()
    services = {item["service"]: item for item in document["components"] if item["kind"] == "service"}
    assert set(services) == set(SERVICES)
    assert {item["health"] for item in document["components"]} == {"healthy"}
    assert len({item["pid"] for item in document["components"]}) == len(document["components"])
    for item in services.values():
        address = f"http://127.0.0.1:{item['ports']['http']}"
        assert httpx.get(f"{address}/health/ready").status_code == 200
        assert "guanxin_" in httpx.get(f"{address}/metrics").text


def test_the_console_has_a_login_page_with_its_style_sheet(stack):
    with httpx.Client(base_url=stack.status()["console"]["url"], follow_redirects=True) as browser:
        page = browser.get("/")
        assert page.status_code == 200
        assert 'type="password"' in page.text
        sheet = next(
            part for part in page.text.split('"') if part.endswith("tabler.min.css") or "tabler.min.css?" in part
        )
        assert "text/css" in browser.get(sheet).headers["content-type"]


def test_the_api_refuses_who_has_no_key_with_a_stable_code(stack):
    refused = httpx.post(f"{stack.status()['api']['url']}/v1/tasks", json={})
    assert refused.status_code == 401
    assert refused.headers["content-type"].startswith("application/problem+json")
    assert refused.json()["code"] == "auth.unauthenticated"


def test_any_killed_service_comes_back(stack_factory):
    local_stack = stack_factory()
    local_stack.up("[stack]\ndemo = false\n")
    before = {item["name"]: item for item in local_stack.status()["components"] if item["kind"] == "service"}
    for item in before.values():
        os.kill(item["pid"], signal.SIGKILL)
    for name, item in before.items():
        after = await_until(
            lambda name=name: (
                (now := local_stack.component(name))["restarts"] >= 1 and now["health"] == "healthy" and now
            ),
            f"{name} did not come back",
            60,
        )
        assert after["pid"] != item["pid"]
