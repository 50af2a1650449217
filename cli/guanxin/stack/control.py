"""The control socket of the supervisor: requests and answers are JSON objects, one a line, over a Unix socket that
only its owner may open.

Boundary: framing and the address; what the requests mean is `supervisor.Supervisor`'s.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

MAX_LINE_BYTES = 1_000_000
_LONGEST_SOCKET_PATH = 100  # sun_path has 108 octets on Linux, 104 on macOS


def socket_path(local: Path) -> Path:
    """Return where the socket of the stack in ``local`` is: inside, or in a private temporary directory where the
    path is too long.
    """
    path = local / "run" / "control.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path
    name = hashlib.sha256(os.fsencode(local)).hexdigest()[:16]
    directory = Path(tempfile.gettempdir()) / f"guanxin-{os.getuid()}-{name}"
    directory.mkdir(mode=0o700, exist_ok=True)
    owner = directory.stat()
    if owner.st_uid != os.getuid() or stat.S_IMODE(owner.st_mode) != 0o700:
        raise PermissionError(f"{directory} is not ours alone")
    return directory / "control.sock"


class UnreachableError(Exception):
    """No supervisor answers for this stack."""


class Client:
    """A blocking connection to the supervisor."""

    def __init__(self, local: Path, timeout_s: float | None = None) -> None:
        """Connect; raises UnreachableError when nobody listens."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(str(socket_path(local)))
        except OSError as error:
            self._socket.close()
            raise UnreachableError(str(error)) from error
        self._stream = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()
        self._socket.close()

    def send(self, **request: Any) -> None:
        """Send one request."""
        self._socket.sendall(encode(request))

    def answers(self) -> Iterator[dict[str, Any]]:
        """Yield answers until the supervisor closes; raises UnreachableError when the connection breaks."""
        try:
            while line := self._stream.readline(MAX_LINE_BYTES):
                yield json.loads(line)
        except OSError as error:
            raise UnreachableError(str(error)) from error

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send one request and return its answer; raises UnreachableError when none comes."""
        try:
            self.send(**request)
        except OSError as error:
            raise UnreachableError(str(error)) from error
        for answer in self.answers():
            return answer
        raise UnreachableError("the supervisor closed the connection")


def encode(message: dict[str, Any]) -> bytes:
    """Return one line."""
    return json.dumps(message, ensure_ascii=False).encode() + b"\n"
