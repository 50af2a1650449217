"""One KRaft node of Apache Kafka for the local stack or the tests: prepare the data directory, the command, readiness.

Broker and controller in one process, both bound to the loopback address. Topics are never created by being used: a
misspelt
name is an error, and partition counts are the contract's.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import uuid
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from pathlib import Path

from guanxin.stack.engines.java import find_java
from guanxin.stack.errors import StackError

HEAP = "384m"
_API_METADATA, _METADATA_VERSION = 3, 4


@dataclass(frozen=True, slots=True)
class KafkaNode:
    """A node: its jars, its data directory, the port of clients and that of the controller quorum."""

    jars: Path
    data_dir: Path
    port: int
    controller_port: int
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def bootstrap_servers(self) -> str:
        """Return the address for clients."""
        return f"127.0.0.1:{self.port}"

    @property
    def _properties_file(self) -> Path:
        return self.data_dir / "server.properties"

    @property
    def _log_dir(self) -> Path:
        return self.data_dir / "log"

    def prepare(self) -> bool:
        """Write the configuration, and format the storage when it is new; returns whether it was."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._properties_file.write_text(self._properties(), encoding="utf-8")
        if (self._log_dir / "meta.properties").exists():
            return False
        shutil.rmtree(self._log_dir, ignore_errors=True)
        cluster = _cluster_id()
        done = subprocess.run(
            [
                *self._java(heap="128m"),
                "kafka.tools.StorageTool",
                "format",
                "-t",
                cluster,
                "-c",
                str(self._properties_file),
            ],
            capture_output=True,
            text=True,
            check=False,
            env=self.environment(),
        )
        if done.returncode != 0:
            shutil.rmtree(self._log_dir, ignore_errors=True)
            detail = (done.stderr or done.stdout).strip()[-2000:]
            raise StackError(
                "kafka_format_failed",
                (f"Kafka 存储初始化失败：{detail}", f"Formatting Kafka's storage failed: {detail}"),
                ("请检查磁盘空间和目录权限。", "Check free disk space and the directory's permissions."),
            )
        return True

    def _properties(self) -> str:
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "listeners": f"CLIENTS://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"CLIENTS://127.0.0.1:{self.port}",
            "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "CLIENTS",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(self._log_dir),
            "auto.create.topics.enable": "false",
            "num.network.threads": "2",
            "num.io.threads": "4",
            # One node: internal topics can have no second copy.
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "8",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            # A consumer joining an empty group need not wait three seconds for company.
            "group.initial.rebalance.delay.ms": "0",
            # Its default of 128 MB would be a third of the heap.
            "log.cleaner.dedupe.buffer.size": "16777216",
            **self.settings,
        }
        return "".join(f"{name}={value}\n" for name, value in settings.items())

    def _java(self, heap: str) -> list[str]:
        return [
            str(find_java()),
            f"-Xmx{heap}",
            "-XX:+UseSerialGC",
            # A local broker lives for minutes and shares its cores: the second compiler would take more than it gives.
            "-XX:TieredStopAtLevel=1",
            "-XX:+ExitOnOutOfMemoryError",
            "-Djava.awt.headless=true",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.log.kafka.server=info",
            "-cp",
            f"{self.jars}/*",
        ]

    def command(self) -> list[str]:
        """Return the command of the node."""
        return [*self._java(heap=HEAP), "kafka.Kafka", str(self._properties_file)]

    def environment(self) -> dict[str, str]:
        """Return the environment: the parent's, without options meant for other Java programs."""
        return {
            name: value
            for name, value in os.environ.items()
            if name not in {"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH"}
        }


def _cluster_id() -> str:
    """Return a random id that the storage tool does not take for an option: one in 64 begins with a dash."""
    while (text := urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()).startswith("-"):
        continue
    return text


def is_ready(port: int, timeout_s: float = 1.0) -> bool:
    """Tell whether the broker on 127.0.0.1:``port`` serves clients: a metadata request is answered with at least one
    broker.

    The listening socket opens before the broker is registered and unfenced, so a mere connection would say yes too
    early.
    """
    client = b"guanxin-probe"
    body = (
        struct.pack(">hhih", _API_METADATA, _METADATA_VERSION, 1, len(client)) + client + struct.pack(">i?", 0, False)
    )
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as probe:
            probe.sendall(struct.pack(">i", len(body)) + body)
            head = _read(probe, 4)
            answer = _read(probe, struct.unpack(">i", head)[0]) if len(head) == len(b"size") else b""
    except OSError:
        return False
    # correlation id, throttle time, number of brokers
    minimum = struct.calcsize(">iii")
    return len(answer) >= minimum and struct.unpack_from(">iii", answer)[2] >= 1


def _read(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = connection.recv(min(65536, size - len(data)))
        if not piece:
            break
        data += piece
    return bytes(data)
