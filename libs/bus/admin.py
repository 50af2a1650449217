"""Topics and groups as operators see them: create and update topics from `contracts.topics`, list them, show lag.

``python -m bus.admin apply|list|lag`` (``GUANXIN_KAFKA_BOOTSTRAP_SERVERS``, ``GUANXIN_KAFKA_REPLICATION``,
``GUANXIN_KAFKA_PARTITIONS``). Nothing is ever deleted or shrunk here: that loses messages, and is a person's decision.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import InvalidPartitionsError, KafkaError, TopicAlreadyExistsError, for_code
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from bus.replay import connect
from contracts.topics import TOPICS, Topic

MAX_MESSAGE_OCTETS = 1_048_588
"""Kafka's own default; a chunk event has at most 256 kB."""


class AdminSettings(BaseSettings):
    """Where the broker is, and what a cluster's overlay may raise."""

    model_config = SettingsConfigDict(env_prefix="GUANXIN_", extra="ignore")

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    kafka_replication: int = Field(default=1, ge=1, le=9)
    kafka_partitions: int = Field(default=0, ge=0, le=512)
    """Partitions of every topic that has more than one; 0: as the topic's record says."""


VISIBLE_S = 10.0
"""What is created now and not told of after so long is left to its readers, who look again by themselves."""


class AdminFailed(Exception):
    """The broker refused; the text says what."""


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic of ours in the broker; ``partitions`` 0 when it does not exist."""

    name: str
    partitions: int
    wanted_partitions: int
    records: int
    """Records in the log at the moment, over all partitions."""
    retention_ms: int
    producer: str
    consumers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """How far one group is behind in one partition; ``committed`` None when it never committed there."""

    group: str
    topic: str
    partition: int
    committed: int | None
    end: int
    lag: int


async def apply(
    bootstrap_servers: str, *, topics: Iterable[Topic] = TOPICS.values(), replication: int = 1, partitions: int = 0
) -> list[str]:
    """Bring the broker's topics to what their records say; return one line per change, none when nothing was to do.

    Raises `AdminFailed`.  Safe to run repeatedly and by several processes at once.
    """
    wanted = {t.name: t for t in topics}
    async with _admin(bootstrap_servers) as admin:
        present = {t["topic"]: t for t in await admin.describe_topics(list(wanted)) if t["error_code"] == 0}
        changes = await _create(admin, [t for n, t in wanted.items() if n not in present], replication, partitions)
        changes += await _grow(admin, wanted, present, partitions)
        changes += await _configure(admin, [wanted[name] for name in present])
        await _visible(admin, wanted, partitions)
    return changes


async def list_topics(
    bootstrap_servers: str, *, topics: Iterable[Topic] = TOPICS.values(), partitions: int = 0
) -> list[TopicState]:
    """Return our topics in the order of their records."""
    async with _reader(bootstrap_servers) as reader:
        bounds = await _bounds(reader, [t.name for t in topics])
    states = []
    for topic in topics:
        mine = {tp: b for tp, b in bounds.items() if tp.topic == topic.name}
        records = sum(last - first for first, last in mine.values())
        wanted = _partitions(topic, partitions)
        states.append(
            TopicState(topic.name, len(mine), wanted, records, topic.retention_ms, topic.producer, topic.consumers)
        )
    return states


async def lag(bootstrap_servers: str, groups: Sequence[str] | None = None) -> list[PartitionLag]:
    """Return the lag of the groups (all the broker knows, when None) in every partition of ours they have committed.

    Consumers with a database report their stored offsets to the broker every two seconds, so this is true for all.
    """
    async with _admin(bootstrap_servers) as admin:
        names = sorted(groups if groups is not None else {g[0] for g in await admin.list_consumer_groups()})
        committed = {name: await admin.list_consumer_group_offsets(name) for name in names}
    wanted = sorted({tp.topic for offsets in committed.values() for tp in offsets})
    async with _reader(bootstrap_servers) as reader:
        bounds = await _bounds(reader, wanted)
    rows = []
    for name, offsets in committed.items():
        for tp, at in sorted(offsets.items()):
            first, end = bounds.get(KafkaPartition(*tp), (0, 0))
            position = at.offset if at.offset >= 0 else None
            behind = end - max(position if position is not None else first, first)
            rows.append(PartitionLag(name, tp.topic, tp.partition, position, end, max(0, behind)))
    return rows


async def _visible(admin: AIOKafkaAdminClient, wanted: dict[str, Topic], partitions: int) -> None:
    """Wait until brokers tell of every topic: a consumer that subscribes before looks again only after its metadata's age."""
    missing = dict(wanted)
    with suppress(TimeoutError):
        async with asyncio.timeout(VISIBLE_S):
            while missing:
                for state in await admin.describe_topics(list(missing)):
                    led = [p for p in state["partitions"] if p["leader"] >= 0]
                    if state["error_code"] == 0 and len(led) >= _partitions(missing[state["topic"]], partitions):
                        del missing[state["topic"]]
                if missing:
                    await asyncio.sleep(0.05)


async def _create(admin: AIOKafkaAdminClient, topics: Sequence[Topic], replication: int, partitions: int) -> list[str]:
    if not topics:
        return []
    new = [
        NewTopic(
            name=t.name,
            num_partitions=_partitions(t, partitions),
            replication_factor=replication,
            topic_configs=_configs(t, replication),
        )
        for t in topics
    ]
    response = await admin.create_topics(new)
    changes = []
    for name, code, *rest in response.topic_errors:
        if code == TopicAlreadyExistsError.errno:
            continue
        if code:
            raise AdminFailed(f"topic {name}: {for_code(code).__name__} {rest[0] if rest else ''}")
        changes.append(f"created {name}")
    return changes


async def _grow(
    admin: AIOKafkaAdminClient, wanted: dict[str, Topic], present: dict[str, Any], partitions: int
) -> list[str]:
    more = {
        name: _partitions(wanted[name], partitions)
        for name, description in present.items()
        if len(description["partitions"]) < _partitions(wanted[name], partitions)
    }
    changes = []
    for name, count in more.items():
        try:
            response = await admin.create_partitions({name: NewPartitions(count)})
        except InvalidPartitionsError:
            # What was read was older than what is there: the broker refuses to grow a topic to a size it has.
            continue
        for _, code, *rest in response.topic_errors:
            if code:
                raise AdminFailed(f"topic {name}: {for_code(code).__name__} {rest[0] if rest else ''}")
        changes.append(f"grew {name} to {count} partitions")
    return changes


async def _configure(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> list[str]:
    """Set the configuration of existing topics where it differs."""
    changes = []
    for topic in topics:
        wanted = _configs(topic, None)
        resource = ConfigResource(ConfigResourceType.TOPIC, topic.name, dict.fromkeys(wanted))
        (response,) = await admin.describe_configs([resource])
        current = {entry[0]: entry[1] for res in response.resources for entry in res[4]}
        if {name: current.get(name) for name in wanted} == wanted:
            continue
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, wanted)])
        changes.append(f"configured {topic.name}")
    return changes


def _partitions(topic: Topic, override: int) -> int:
    return override if override and topic.partitions > 1 else topic.partitions


def _configs(topic: Topic, replication: int | None) -> dict[str, str]:
    configs = {
        "retention.ms": str(topic.retention_ms),
        "cleanup.policy": "compact" if topic.compacted else "delete",
        "max.message.bytes": str(MAX_MESSAGE_OCTETS),
    }
    if replication is not None and replication >= 3:
        # One broker may be down without stopping producers, and no acknowledged record lives on one disk only.
        configs["min.insync.replicas"] = "2"
    return configs


@asynccontextmanager
async def _admin(bootstrap_servers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, client_id="guanxin-admin")
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def _reader(bootstrap_servers: str) -> AsyncIterator[AIOKafkaConsumer]:
    reader = await connect(bootstrap_servers, client_id="guanxin-admin")
    try:
        yield reader
    finally:
        await reader.stop()


async def _bounds(reader: AIOKafkaConsumer, topics: Sequence[str]) -> dict[KafkaPartition, tuple[int, int]]:
    metadata = await reader._client.fetch_all_metadata()  # noqa: SLF001 - the public call knows subscribed topics only
    tps = [KafkaPartition(t, p) for t in topics for p in metadata.partitions_for_topic(t) or ()]
    if not tps:
        return {}
    reader.assign(tps)
    first, last = await reader.beginning_offsets(tps), await reader.end_offsets(tps)
    return {tp: (first[tp], last[tp]) for tp in tps}


async def _main(command: str, settings: AdminSettings) -> int:
    servers = settings.kafka_bootstrap_servers
    if command == "apply":
        changes = await apply(servers, replication=settings.kafka_replication, partitions=settings.kafka_partitions)
        sys.stdout.write("".join(f"{line}\n" for line in changes or ["nothing to do / 无需变更"]))
    elif command == "list":
        for topic in await list_topics(servers, partitions=settings.kafka_partitions):
            sys.stdout.write(f"{topic.name:32} {topic.partitions:3}/{topic.wanted_partitions} {topic.records:10}\n")
    else:
        for row in await lag(servers):
            sys.stdout.write(
                f"{row.group:24} {row.topic:32} {row.partition:3} {row.committed!s:>10} {row.end:10} {row.lag:8}\n"
            )
    return 0


def main(arguments: Sequence[str]) -> int:
    """Run one command; return the exit code (0 done, 1 refused, 2 wrong use, 3 no broker)."""
    if len(arguments) != 1 or arguments[0] not in ("apply", "list", "lag"):
        sys.stderr.write("usage: python -m bus.admin apply|list|lag\n")
        return 2
    settings = AdminSettings()
    try:
        return asyncio.run(_main(arguments[0], settings))
    except AdminFailed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KafkaError as error:
        sys.stderr.write(
            f"broker {settings.kafka_bootstrap_servers}: {type(error).__name__}: {error} / 无法连接消息总线\n"
        )
        return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
