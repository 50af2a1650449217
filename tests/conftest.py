"""What every test may ask for: a fresh database, a topic prefix, and the real engines behind them.

The engines come from the environment (``python -m guanxin.stack.testbed -- pytest …`` sets it; so does any running
pair); where it
names none, the first test that needs one starts both, and they end with the session.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio
from stackrun import RunningStack

from guanxin.stack import testbed


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


@pytest.fixture
def stack_factory(tmp_path: Path) -> Iterator[Callable[[], RunningStack]]:
    """Makes whole local stacks (down at first) that are gone when the test is."""
    made: list[RunningStack] = []

    def make() -> RunningStack:
        made.append(RunningStack(tmp_path / f"stack-{len(made)}"))
        return made[-1]

    yield make
    for stack in made:
        stack.down()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """One whole stack without demo data that is up and shared: mark its users ``xdist_group("stack")``, and kill
    nothing of it.
    """
    shared = RunningStack(tmp_path_factory.mktemp("stack"))
    shared.up("[stack]\ndemo = false\n")
    yield shared
    shared.down()
