from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from servicekit.settings import ServiceSettings, SettingsError, explain


class Settings(ServiceSettings):
    service: str = "example"
    answer: int = 42


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    import os

    for name in list(os.environ):
        if name.startswith("GUANXIN_"):
            monkeypatch.delenv(name)


def test_environment_beats_the_secrets_file_beats_the_default(monkeypatch, tmp_path):
    secrets = tmp_path / "secrets.json"
    secrets.write_text(json.dumps({"answer": 7, "database_url": "postgresql://u:hidden@h/d", "other_service": 1}))
    monkeypatch.setenv("GUANXIN_SECRETS_FILE", str(secrets))
    assert Settings().answer == 7
    assert Settings().database_url.get_secret_value() == "postgresql://u:hidden@h/d"
    monkeypatch.setenv("GUANXIN_ANSWER", "9")
    assert Settings().answer == 9
    origins = {row.name: row for row in explain(Settings)}
    assert origins["answer"].origin == "environment"
    assert origins["database_url"].origin == str(secrets)
    assert origins["http_port"].origin == "default"
    assert origins["http_port"].env == "GUANXIN_HTTP_PORT"
    assert "hidden" not in "".join(row.value for row in origins.values())


def test_the_instance_has_a_name_even_when_it_is_not_told(monkeypatch):
    assert Settings().instance == "example-1"
    monkeypatch.setenv("GUANXIN_SERVICE", "dispatch")
    assert Settings().instance == "dispatch-1"
    monkeypatch.setenv("GUANXIN_INSTANCE", "dispatch-7")
    assert Settings().instance == "dispatch-7"


@pytest.mark.parametrize(("name", "value"), [("HTTP_PORT", "70000"), ("LOG_LEVEL", "loud"), ("DB_POOL_MAX", "0")])
def test_what_is_out_of_bounds_is_refused(monkeypatch, name, value):
    monkeypatch.setenv(f"GUANXIN_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


def test_require_names_everything_missing_at_once():
    with pytest.raises(SettingsError, match="GUANXIN_DATABASE_URL, GUANXIN_SESSION_SECRET"):
        Settings().require("database_url", "session_secret", "kafka_bootstrap_servers")


@pytest.mark.parametrize("content", ["not json hunter2", "[1]", "x" * 70_000])
def test_a_bad_secrets_file_is_named_but_not_quoted(monkeypatch, tmp_path, content):
    secrets = tmp_path / "secrets.json"
    secrets.write_text(content)
    monkeypatch.setenv("GUANXIN_SECRETS_FILE", str(secrets))
    with pytest.raises(SettingsError, match=r"secrets\.json") as caught:
        Settings()
    assert "hunter2" not in str(caught.value)


def test_a_missing_secrets_file_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("GUANXIN_SECRETS_FILE", str(tmp_path / "none.json"))
    with pytest.raises(SettingsError, match="No such file"):
        Settings()
