"""A process that was killed leaves its member in the group, and its partitions wait until that one's session times out.

The next process of the same state directory says goodbye in its name: the member id of each group is noted when partitions are
assigned and forgotten when the group is left in order.  A wrong or stale note does nothing: the broker knows no such member.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import LeaveGroupRequest

GOODBYE_S = 3.0
"""Longer than an answer takes; without one the session times out, as it would have."""
MOST_OCTETS = 300

log = structlog.get_logger()


class Predecessor:
    """The member this process's forerunner was in one group."""

    def __init__(self, state_dir: Path | None, group: str, instance: str) -> None:
        """``instance`` is this process's name, which its forerunner had too.  Without a directory nothing is noted."""
        self._group = group
        self._note = None if state_dir is None else state_dir / f"member-{instance}-{group}"

    async def leave(self, kafka: AIOKafkaConsumer) -> None:
        """Take the forerunner out of the group; ``kafka`` is started and has not joined yet."""
        member = self._read()
        if not member:
            return
        coordinator = kafka._coordinator  # noqa: SLF001 - aiokafka leaves a group for its own member only
        try:
            async with asyncio.timeout(GOODBYE_S):
                await coordinator.ensure_coordinator_known()
                await coordinator._send_req(LeaveGroupRequest(self._group, member))  # noqa: SLF001
        except (KafkaError, TimeoutError) as error:
            log.info("predecessor_not_dismissed", group=self._group, reason=type(error).__name__)
            return
        log.info("predecessor_dismissed", group=self._group)
        self.forget()

    def joined(self, kafka: AIOKafkaConsumer) -> None:
        """Note who this process is in the group."""
        if self._note is not None:
            self._note.parent.mkdir(parents=True, exist_ok=True)
            self._note.write_text(str(kafka._coordinator.member_id), encoding="utf-8")  # noqa: SLF001 - as above

    def forget(self) -> None:
        """There is nobody to take out: the group was left in order."""
        if self._note is not None:
            self._note.unlink(missing_ok=True)

    def _read(self) -> str:
        if self._note is None or not self._note.exists():
            return ""
        text = self._note.read_bytes()[:MOST_OCTETS].decode("utf-8", "replace").strip()
        return text if text.isprintable() else ""
