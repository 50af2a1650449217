"""The small parts of the local stack, each by itself."""

import json
import socket
import stat

import pytest

from guanxin import i18n, main
from guanxin.stack import credentials, logs, ports, state
from guanxin.stack.engines import kafka


def test_a_taken_port_is_not_chosen_and_a_remembered_one_is():
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        taken_by_stranger = stranger.getsockname()[1]
        assert not ports.is_free(taken_by_stranger)
        mine: set[int] = set()
        chosen = ports.choose([taken_by_stranger], mine)
        assert chosen != taken_by_stranger
        assert ports.choose([chosen], set()) == chosen
        assert ports.choose([chosen], mine) != chosen


def test_a_port_on_all_addresses_is_taken_too():
    with socket.create_server(("0.0.0.0", 0)) as stranger:
        assert not ports.is_free(stranger.getsockname()[1])


def test_secrets_are_random_private_and_stay(tmp_path):
    path = tmp_path / "secrets.json"
    first = credentials.load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert credentials.load_or_create(path) == first
    other = credentials.load_or_create(tmp_path / "other.json")
    drawn = [
        first.api_key,
        first.database_password,
        *first.role_passwords.values(),
        *(item.password for item in first.logins),
    ]
    assert len(set(drawn)) == len(drawn)
    assert other.api_key != first.api_key
    assert {item.role for item in first.logins} == {"reviewer", "supervisor", "auditor", "admin"}


def test_an_older_secrets_file_is_completed_and_not_changed(tmp_path):
    path = tmp_path / "secrets.json"
    first = credentials.load_or_create(path)
    old = json.loads(path.read_text())
    del old["session_secret"]
    path.write_text(json.dumps(old))
    second = credentials.load_or_create(path)
    assert second.session_secret
    assert second.api_key == first.api_key
    assert json.loads(path.read_text())["session_secret"] == second.session_secret


def test_a_log_is_cut_while_its_writer_keeps_its_descriptor(tmp_path):
    path = tmp_path / "x.log"
    with path.open("ab", buffering=0) as writer:
        writer.write(b"old\n" * 100)
        assert logs.rotate(path, limit=100)
        writer.write(b"new\n")
    assert path.read_bytes() == b"new\n"
    assert (tmp_path / "x.log.1").read_bytes() == b"old\n" * 100


def test_no_more_pieces_of_a_log_are_kept_than_said(tmp_path):
    path = tmp_path / "x.log"
    for number in range(logs.KEPT + 3):
        path.write_text(f"{number}\n" * 10)
        assert logs.rotate(path, limit=1)
    assert len(list(tmp_path.iterdir())) == logs.KEPT + 1
    assert not logs.rotate(path, limit=1)


def test_the_tail_of_a_log_is_whole_lines_and_of_none_nothing(tmp_path):
    path = tmp_path / "x.log"
    assert logs.tail(path, 3) == ""
    path.write_text("一\n二\n三\n四\n", encoding="utf-8")
    assert logs.tail(path, 2) == "三\n四"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"ports": 1}', "null"])
def test_a_memory_that_cannot_be_read_is_like_none(tmp_path, content):
    path = tmp_path / "state.json"
    path.write_text(content)
    assert state.load(path) == state.Remembered()


def test_the_memory_comes_back(tmp_path):
    remembered = state.Remembered(ports={"kafka": {"kafka": 9092}})
    state.save(tmp_path / "state.json", remembered)
    assert state.load(tmp_path / "state.json") == remembered
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize(
    ("environment", "expected"), [({"LANG": "zh_CN.UTF-8"}, "zh"), ({"LANG": "C"}, "en"), ({}, "en")]
)
def test_the_language_is_the_locale_s_and_can_be_chosen(monkeypatch, environment, expected):
    for name in ("GUANXIN_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    i18n.language.cache_clear()
    try:
        assert i18n.language() == expected
        monkeypatch.setenv("GUANXIN_LANG", "zh")
        i18n.language.cache_clear()
        assert i18n.t("好", "good") == "好"
    finally:
        monkeypatch.undo()
        i18n.language.cache_clear()


@pytest.mark.parametrize(("arguments", "code"), [([], 0), (["--help"], 0), (["nonsense"], 2)])
def test_the_overview_and_its_exit_codes(capsys, arguments, code):
    with pytest.raises(SystemExit) as ended:
        main.run(arguments)
    assert ended.value.code == code
    said = capsys.readouterr()
    assert "stack" in (said.err if code else said.out)
    if code:
        assert said.out == ""


def test_a_cluster_id_never_looks_like_an_option() -> None:
    made = [kafka._cluster_id() for _ in range(2_000)]
    assert all(len(text) == 22 and not text.startswith("-") for text in made)
