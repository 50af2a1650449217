"""Jasmin, from PyPI into an environment of its own: jasmind with its daemons for receipts, on Debian's RabbitMQ and Redis.

Set up by its manual: `dlrlookupd` and `dlrd` as daemons beside `jasmind` (inside it they are "not recommended"), transceiver connectors
without a throughput limit, as many as sessions are agreed, chosen by a round-robin route (a connector sends one submit at a time), billing
off, logs at the level of errors.  RabbitMQ and Redis with their default settings.  Version 0.11.0: 0.11.1 loses the receipt of
every message of one segment ("'SubmitSM' object has no attribute 'response'").
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import venv
from pathlib import Path

import psutil

from gateways import sink
from gateways.gateway import Case, Gateway, Offered, get, number_of, offer_each, running, text_of
from gateways.programs import Failed, Program, find, free_port, listens, until
from guanxin.stack import paths

LOCK = Path(__file__).parents[1] / "jasmin.lock"
SECTIONS_WITH_LOGS = (
    "smpp-server", "smpp-server-pb", "client-management", "service-dlr", "sm-listener", "dlr", "router", "jcli", "http-api",
    "deliversm-thrower", "dlr-thrower", "amqp-broker", "redis-client", "interceptor-client",
)  # fmt: skip
LOCKS = Path("/tmp")
"""Where Jasmin's daemons keep the locks that forbid a second one, and that a kill leaves behind."""


def environment() -> Path:
    """Return the folder of the environment Jasmin runs in, made from the lock file when it is not there yet."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    folder = paths.engines_dir().parent / "bench" / f"jasmin-{digest}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        subprocess.run(
            [
                folder / "bin/python",
                "-m",
                "pip",
                "install",
                "-q",
                "--disable-pip-version-check",
                "--require-hashes",
                "-r",
                LOCK,
            ],
            check=True,
            stdout=sys.stderr,
        )
        (folder / "complete").touch()
    return folder


class Jasmin(Gateway):
    """Jasmin with a RabbitMQ, a Redis and a carrier of its own."""

    def __init__(self, case: Case, folder: Path) -> None:
        super().__init__(case, folder)
        self._sink = sink.Carrier(folder, receipts=case.receipts)
        self._callbacks = ""
        self._http, self._jcli, self._amqp, redis = free_port(), free_port(), free_port(), free_port()
        self._epmd_port = free_port()
        self._id = secrets.token_hex(4)
        made = environment()
        specification = next(made.glob("lib/python*/site-packages/txamqp/specs/standard/amqp0-9-1.stripped.xml"))
        file = _configuration(folder, self._http, self._jcli, self._amqp, redis, specification)
        own = {
            "ROOT_PATH": str(folder), "CONFIG_PATH": str(folder), "LOG_PATH": str(folder), "PYTHONPATH": "",
            "JCLI_USERNAME": "jcliadmin", "JCLI_PASSWORD": "jclipwd",
        }  # fmt: skip
        python, programs = str(made / "bin/python"), "jasmin.bin"
        self._jasmind = Program(
            "jasmind",
            [python, "-m", f"{programs}.jasmind", "-c", str(file), "-u", "jcliadmin", "-p", "jclipwd"],
            folder,
            own,
        )
        self._daemons = [
            Program(name, [python, "-m", f"{programs}.{name}", "-c", str(file), "-i", self._id], folder, own)
            for name in ("dlrlookupd", "dlrd")
        ]
        self._redis = Program(
            "redis", [find("redis-server", "redis-server"), "--port", str(redis), "--dir", str(folder)], folder
        )
        self._redis_port = redis
        self._epmd = Program("epmd", [find("epmd", "rabbitmq-server"), "-port", str(self._epmd_port)], folder)
        self._rabbit = Program(
            "rabbitmq", [find("rabbitmq-server", "rabbitmq-server", "/usr/lib/rabbitmq/bin")], folder, self._of_rabbit()
        )

    @property
    def carrier(self) -> str:
        return self._sink.url

    def _of_rabbit(self) -> dict[str, str]:
        home = self.folder / "rabbitmq"
        home.mkdir()
        scripts = "/usr/lib/rabbitmq/bin"  # Debian's own start script insists on the system's service account
        return {
            "PATH": os.pathsep.join((scripts, os.environ["PATH"])),
            "HOME": str(home),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": f"bench{self._id}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._amqp),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(home / "data"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_PID_FILE": str(home / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
        }

    def start(self, callbacks: str) -> None:
        self._callbacks = callbacks
        self._sink.start()
        self._redis.start(lambda: listens(self._redis_port))
        self._epmd.start(lambda: listens(self._epmd_port))
        self._rabbit.start(lambda: listens(self._amqp))
        self._up()
        Console(self._jcli).configure(self._sink.port)
        until(lambda: self._sink.bound() == sink.SESSIONS, "sessions of jasmind")

    def _up(self) -> None:
        self._jasmind.start(lambda: listens(self._http) and listens(self._jcli))
        for daemon in self._daemons:
            daemon.start(lambda: True)

    async def offer(self, first: int, count: int) -> Offered:
        return await offer_each(
            self._http, self._request, first, count, lambda status, body: status == 200 and b"Success" in body
        )

    def _request(self, place: int) -> bytes:
        fields = {
            "username": "bench", "password": "bench", "from": "95598", "to": number_of(place), "coding": "8",
            "hex-content": text_of(place).encode("utf-16-be").hex(),
        }  # fmt: skip
        if self.case.receipts:
            fields |= {"dlr": "yes", "dlr-level": "2", "dlr-method": "GET", "dlr-url": f"{self._callbacks}/dlr"}
        return get("/send", fields)

    def processes(self) -> dict[str, list[psutil.Process]]:
        return running([self._jasmind, *self._daemons, self._rabbit, self._redis, self._sink.program])

    async def kill(self) -> None:
        for program in (self._jasmind, *self._daemons):
            program.kill()
        for lock in ("jasmind", *(f"{daemon.name}-{self._id}" for daemon in self._daemons)):
            (LOCKS / f"{lock}.lock").unlink(missing_ok=True)
        await asyncio.to_thread(self._up)
        await asyncio.to_thread(
            until, lambda: self._sink.bound() == sink.SESSIONS, "sessions of jasmind after its restart"
        )

    def stop(self) -> None:
        for program in (self._jasmind, *self._daemons, self._rabbit, self._redis, self._epmd, self._sink.program):
            program.stop()


PATIENCE_S = 45
"""For an answer of the console."""


class Console:
    """Jasmin's own console, over its telnet port."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._heard = b""
        self._until(b"Authentication required.")
        self._say("jcliadmin", b"Password:")
        self._say("jclipwd", b"jcli : ")

    def configure(self, carrier: int) -> None:
        """Make connectors, route and user, start the connectors, and keep all that for the next start."""
        names = [f"sink{number}" for number in range(sink.SESSIONS)]
        for name in names:
            self._fill(
                "smppccm -a", f"cid {name}", "host 127.0.0.1", f"port {carrier}", f"username {sink.ACCOUNT}",
                f"password {sink.SECRET}", "bind transceiver", "submit_throughput 0", "loglevel 40",
                "con_fail_delay 1", "con_loss_delay 1",
            )  # fmt: skip
            self._say(f"smppccm -1 {name}", b"jcli : ")
        connectors = ";".join(f"smppc({name})" for name in names)
        self._fill("filter -a", "type TransparentFilter", "fid all")
        self._fill(
            "mtrouter -a",
            "type RandomRoundrobinMTRoute",
            "order 10",
            "filters all",
            f"connectors {connectors}",
            "rate 0.0",
        )
        self._fill("group -a", "gid bench")
        self._fill("user -a", "username bench", "password bench", "gid bench", "uid bench")
        self._say("persist", b"jcli : ")
        self._socket.close()

    def _fill(self, first: str, *lines: str) -> None:
        for line in (first, *lines):
            self._say(line, b"> ")
        answer = self._say("ok", b"jcli : ")
        if b"uccessfully" not in answer:
            raise Failed(f"jcli: {first}: {answer.decode('utf-8', 'replace')}")

    def _say(self, line: str, until: bytes) -> bytes:
        self._socket.sendall(line.encode() + b"\r\n")
        return self._until(until)

    def _until(self, end: bytes) -> bytes:
        while end not in self._heard:
            try:
                octets = self._socket.recv(65_536)
            except TimeoutError:
                octets = b""
            if not octets:
                raise Failed(f"jcli: no {end!r} within {PATIENCE_S} s; it said {self._heard[-500:]!r}")
            self._heard += octets
        heard, _, self._heard = self._heard.partition(end)
        return heard


def _configuration(folder: Path, http: int, jcli: int, amqp: int, redis: int, specification: Path) -> Path:
    (folder / "store").mkdir()
    own: dict[str, dict[str, object]] = {
        "smpp-server": {"bind": "127.0.0.1", "port": free_port(), "billing_feature": "False"},
        "smpp-server-pb": {"bind": "127.0.0.1", "port": free_port()},
        "client-management": {"bind": "127.0.0.1", "port": free_port(), "store_path": folder / "store"},
        "router": {"bind": "127.0.0.1", "port": free_port(), "store_path": folder / "store"},
        "jcli": {"port": jcli},
        "http-api": {"bind": "127.0.0.1", "port": http, "billing_feature": "False"},
        "amqp-broker": {"port": amqp, "spec": specification},
        "redis-client": {"port": redis},
    }
    pb = own["smpp-server-pb"]["port"]
    own["smpp-server-pb-client"] = {"port": pb}
    for section in SECTIONS_WITH_LOGS:
        own.setdefault(section, {})["log_level"] = "ERROR"
    file = folder / "jasmin.cfg"
    lines = (
        f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in fields.items()) for name, fields in own.items()
    )
    file.write_text("\n".join(lines), encoding="utf-8")
    return file
