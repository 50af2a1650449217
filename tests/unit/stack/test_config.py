import textwrap

import pytest

from guanxin.stack import config
from guanxin.stack.errors import StackError


def _load(tmp_path, text):
    path = tmp_path / "stack.toml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return config.load(path)


def test_no_file_means_the_whole_embedded_stack_with_its_demo():
    settings = config.load(None)
    assert settings.stack.demo
    assert settings.stack.simulators == ("smpp", "cmpp20", "cmpp30", "sgip12", "smgp30")
    assert [settings.workers(service) for service in config.SERVICES] == [1] * len(config.SERVICES)


def test_the_documented_example_is_understood(tmp_path):
    settings = _load(
        tmp_path,
        """
        [stack]
        workers = { dispatch = 2 }
        simulators = []
        demo = false

        [[links]]
        name = "carrier-a"
        protocol = "smpp34"
        host = "127.0.0.1"
        port = 2775
        system_id = "gx"
        password = "secret"
        rate = 100
        sessions = 2
        window = 50

        [kafka]
        bootstrap_servers = "broker:9092"
        [database]
        url = "postgresql://u:p@db/guanxin"
        """,
    )
    assert settings.workers("dispatch") == 2
    assert settings.workers("ingest") == 1
    assert settings.stack.simulators == ()
    assert settings.kafka.bootstrap_servers == "broker:9092"
    assert settings.database.url == "postgresql://u:p@db/guanxin"
    link = settings.links[0].model_dump()
    assert link == {
        "name": "carrier-a", "protocol": "smpp34", "host": "127.0.0.1", "port": 2775, "system_id": "gx",
        "password": "secret", "rate": 100, "sessions": 2, "window": 50,
    }  # fmt: skip


def test_a_link_keeps_the_names_of_its_own_protocol(tmp_path):
    text = (
        '[[links]]\nname = "c"\nprotocol = "cmpp20"\nhost = "h"\nport = 7890\nsp_id = "901234"\nshared_secret = "x"\n'
    )
    link = _load(tmp_path, text).links[0].model_dump()
    assert link["sp_id"] == "901234"
    assert link["shared_secret"] == "x"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[stack]\nworker = { dispatch = 2 }", "stack.worker"),
        ("[stack]\nworkers = { despatch = 2 }", "despatch"),
        ("[stack]\nworkers = { dispatch = -1 }", "stack.workers.dispatch"),
        ("[stack]\nworkers = { dispatch = 1000 }", "stack.workers.dispatch"),
        ('[stack]\nsimulators = ["smtp"]', "stack.simulators"),
        ('[stack]\nsimulators = ["smpp", "smpp34"]', "twice"),
        ('[[links]]\nname = "a"\nprotocol = "smpp34"\nhost = "h"\nport = 70000', "links.0.port"),
        ('[[links]]\nname = "a"\nprotocol = "smpp34"\nport = 1', "links.0.host"),
        (
            '[[links]]\nname="a"\nprotocol="p"\nhost="h"\nport=1\n[[links]]\nname="a"\nprotocol="p"\nhost="h"\nport=2',
            "same",
        ),
        ('[database]\nurl = "mysql://x"', "database.url"),
        ("[stack", "Expected"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path, text, place):
    with pytest.raises(StackError, match=place) as caught:
        _load(tmp_path, text)
    assert caught.value.code == "config_invalid"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StackError, match="absent"):
        config.load(tmp_path / "absent.toml")
