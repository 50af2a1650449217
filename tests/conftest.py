"""What every test may ask for: a fresh database, a topic prefix, and the real engines behind them.

The engines come from the environment (``python -m guanxin.stack.testbed -- pytest …`` sets it; so does any running
pair); where it
names none, the first test that needs one starts both, and they end with the session.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import settings
from stackrun import RunningStack

from guanxin.stack import testbed

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what it puts into the background with SIGINT ignored, and programs that tests start and interrupt would
    # inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A deadline an example is an assertion on wall time: on a loaded machine it fails without a fault.
settings.register_profile("guanxin", deadline=None)
settings.load_profile("guanxin")


@pytest.fixture(scope="session")
def _engines() -> Iterator[dict[str, str]]:
    names = (testbed.ENV_KAFKA, testbed.ENV_POSTGRES)
    if all(name in os.environ for name in names):
        yield {name: os.environ[name] for name in names}
        return
    with testbed.testbed() as bed:
        yield {name: bed.environment.get(name) or os.environ[name] for name in names}


@pytest.fixture(scope="session")
def kafka_bootstrap(_engines: dict[str, str]) -> str:
    """Bootstrap servers of a real Kafka. It is shared: use `topic_prefix` for names."""
    return _engines[testbed.ENV_KAFKA]


@pytest.fixture
def topic_prefix() -> str:
    """A prefix for topics and groups that no other test has."""
    return f"t{secrets.token_hex(5)}."


@pytest.fixture(scope="session")
def postgres_admin_url(_engines: dict[str, str]) -> str:
    """Address of the superuser on the shared cluster; tests want `postgres_url`."""
    return _engines[testbed.ENV_POSTGRES]


def _at_database(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


async def _fresh_database(admin_url: str) -> AsyncIterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    admin = await asyncpg.connect(admin_url)
    try:
        await admin.execute(f"create database {name} template template0")
        try:
            yield _at_database(admin_url, name)
        finally:
            # force: a test that failed may have left sessions open
            await admin.execute(f"drop database if exists {name} with (force)")
    finally:
        await admin.close()


@pytest_asyncio.fixture
async def postgres_url(postgres_admin_url: str) -> AsyncIterator[str]:
    """Address of a fresh, empty database (its superuser), dropped after the test."""
    async for url in _fresh_database(postgres_admin_url):
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_postgres_url(postgres_admin_url: str) -> AsyncIterator[str]:
    """Address of a fresh database that the tests of one module share."""
    async for url in _fresh_database(postgres_admin_url):
        yield url


def _open_directory() -> Iterator[Path]:
    # pytest's own directories are closed to other users; where root must start PostgreSQL under another uid, that
    # one has to get in.
    directory = Path(tempfile.mkdtemp(prefix="guanxin-test-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A temporary directory that processes of another user may pass through."""
    yield from _open_directory()


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; where there is none tests are skipped, except in CI, where that is a failure."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("GUANXIN_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        assert not os.environ.get("GUANXIN_REQUIRE_BROWSER"), "a browser is required here and none was found"
        pytest.skip("no Chromium on this machine")
    return found


@pytest.fixture
def stack_factory(open_path: Path) -> Iterator[Callable[[], RunningStack]]:
    """Makes whole local stacks (down at first) that are gone when the test is."""
    made: list[RunningStack] = []

    def make() -> RunningStack:
        made.append(RunningStack(open_path / f"stack-{len(made)}"))
        return made[-1]

    yield make
    for stack in made:
        stack.down()


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """One whole stack without demo data that is up and shared: mark its users ``xdist_group("stack")``, and kill
    nothing of it.
    """
    for directory in _open_directory():
        shared = RunningStack(directory)
        try:
            shared.up("[stack]\ndemo = false\n")
            yield shared
        finally:
            shared.down()
