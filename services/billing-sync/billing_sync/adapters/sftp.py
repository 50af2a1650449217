"""The embedded SFTP server: the billing system reads `/outgoing`, writes `/ack`, and can do nothing else.

One account, password only, no shell, no forwarding.  An acknowledgement appears under its name when its upload is
closed, so it is never read half-written.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import structlog

from billing_sync import metrics
from billing_sync.adapters.folder import Folder
from billing_sync.domain.acks import MAX_OCTETS
from servicekit.auth import same

HOST_KEY = "sftp_host_key"
MAX_CONNECTIONS = 32
LOGIN_TIMEOUT_S = 20
_NAME = re.compile(rb"[A-Za-z0-9_][A-Za-z0-9_.-]{0,150}\Z")
_UPLOAD = b".upload-"
_WRITING = asyncssh.FXF_WRITE | asyncssh.FXF_APPEND | asyncssh.FXF_CREAT | asyncssh.FXF_TRUNC

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Account:
    """Who may log in."""

    user: str
    password: str


@dataclass(slots=True)
class _Open:
    """A file in use: what was read of an offered one, or where an upload shall go."""

    size: int = 0
    seen: int = 0
    name: str = ""
    temporary: Path | None = None
    final: Path | None = None


class SftpServer:
    """A lifecycle component; ``on_fetched`` is told the name of each file that was read to its end."""

    def __init__(
        self, *, folder: Folder, state_dir: Path, host: str, port: int, account: Account,
        on_fetched: Callable[[str], None],
    ) -> None:  # fmt: skip
        """Serve ``folder``; the host key is made in ``state_dir`` at the first start and kept."""
        self._folder = folder
        self._state_dir = state_dir
        self._host = host
        self._port = port
        self._account = account
        self._on_fetched = on_fetched
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._connections = 0

    @property
    def port(self) -> int:
        """The port that is listened on."""
        assert self._acceptor is not None
        return int(self._acceptor.get_port())

    async def start(self) -> None:
        """Listen."""
        self._acceptor = await asyncssh.listen(
            self._host,
            self._port,
            server_factory=lambda: _Gate(self),
            server_host_keys=[host_key(self._state_dir)],
            sftp_factory=lambda channel: _Room(channel, self._folder, self._on_fetched),
            allow_scp=False,
            login_timeout=LOGIN_TIMEOUT_S,
            keepalive_interval=30,
            reuse_address=True,
        )
        log.info("sftp_listening", port=self.port)

    async def run(self) -> None:
        """Serve until `stop`."""
        assert self._acceptor is not None
        await self._acceptor.wait_closed()

    async def stop(self) -> None:
        """Close the listener and every session."""
        if self._acceptor is not None:
            self._acceptor.close()

    def admit(self) -> bool:
        """Count a connection in; False when there are too many."""
        self._connections += 1
        return self._connections <= MAX_CONNECTIONS

    def leave(self) -> None:
        """Count a connection out."""
        self._connections -= 1

    def knows(self, user: str, password: str) -> bool:
        """Return whether this is the account; both are compared whatever the other gives."""
        right_user, right_password = same(user, self._account.user), same(password, self._account.password)
        return right_user and right_password


def host_key(state_dir: Path) -> asyncssh.SSHKey:
    """Return the server's key, made when it is not there."""
    path = state_dir / HOST_KEY
    if not path.exists():
        state_dir.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(asyncssh.generate_private_key("ssh-ed25519").export_private_key())
        temporary.rename(path)
    return asyncssh.read_private_key(path)


class _Gate(asyncssh.SSHServer):
    def __init__(self, server: SftpServer) -> None:
        self._server = server

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        if not self._server.admit():
            conn.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.leave()

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        right = self._server.knows(username, password)
        metrics.SFTP_SESSIONS.labels("accepted" if right else "refused").inc()
        if not right:
            log.warning("sftp_login_refused")
        return right


def _denied() -> asyncssh.SFTPError:
    return asyncssh.SFTPPermissionDenied("不允许 / not permitted")


class _Room(asyncssh.SFTPServer):
    """What one session may do; every operation not named here is refused."""

    def __init__(
        self, channel: asyncssh.SSHServerChannel[bytes], folder: Folder, on_fetched: Callable[[str], None]
    ) -> None:
        super().__init__(channel, chroot=os.fsencode(folder.root))
        self._folder = folder
        self._on_fetched = on_fetched
        self._files: dict[int, _Open] = {}

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        directory, name = self._place(path)
        if directory == b"/outgoing" and not pflags & _WRITING:
            return self._opened_for_reading(path, name, pflags, attrs)
        if directory == b"/ack" and pflags & _WRITING and not pflags & asyncssh.FXF_APPEND:
            return self._opened_for_upload(name, attrs)
        raise _denied()

    def open56(self, path: bytes, desired_access: int, flags: int, attrs: asyncssh.SFTPAttrs) -> object:
        # Version 3 is all the server speaks; a client that asks for more is answered with 3.
        raise _denied()

    def read(self, file_obj: object, offset: int, size: int) -> Any:
        octets = super().read(file_obj, offset, size)
        used = self._files.get(id(file_obj))
        if used is not None and isinstance(octets, bytes):
            used.seen = max(used.seen, offset + len(octets))
        return octets

    def write(self, file_obj: object, offset: int, data: bytes) -> Any:
        if offset + len(data) > MAX_OCTETS:
            raise asyncssh.SFTPFailure(f"最多 {MAX_OCTETS} 字节 / at most {MAX_OCTETS} octets")
        return super().write(file_obj, offset, data)

    def close(self, file_obj: object) -> Any:
        used = self._files.pop(id(file_obj), None)
        result = super().close(file_obj)
        if used is not None and used.temporary is not None and used.final is not None:
            used.temporary.rename(used.final)
        elif used is not None and used.seen >= used.size:
            self._on_fetched(used.name)
        return result

    def rename(self, oldpath: bytes, newpath: bytes) -> Any:
        if self._place(oldpath)[0] != b"/ack" or self._place(newpath)[0] != b"/ack":
            raise _denied()
        return super().rename(oldpath, newpath)

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> Any:
        if self._place(oldpath)[0] != b"/ack" or self._place(newpath)[0] != b"/ack":
            raise _denied()
        return super().posix_rename(oldpath, newpath)

    def remove(self, path: bytes) -> None:
        raise _denied()

    def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        raise _denied()

    def rmdir(self, path: bytes) -> None:
        raise _denied()

    def symlink(self, oldpath: bytes, newpath: bytes) -> None:
        raise _denied()

    def link(self, oldpath: bytes, newpath: bytes) -> None:
        raise _denied()

    def readlink(self, path: bytes) -> bytes:
        raise _denied()

    def setstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        """Ignore what clients like to set after an upload; nothing of ours depends on it."""
        if self._place(path)[0] != b"/ack":
            raise _denied()

    def fsetstat(self, file_obj: object, attrs: asyncssh.SFTPAttrs) -> None:
        """See `setstat`."""

    def _place(self, path: bytes) -> tuple[bytes, bytes]:
        """Return (directory, name) of a path as the client sees it; raises when the name is none of ours."""
        directory, name = posixpath.split(posixpath.normpath(posixpath.join(b"/", path)))
        if not _NAME.match(name):
            raise _denied()
        return directory, name

    def _opened_for_reading(self, path: bytes, name: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        opened = super().open(path, pflags, attrs)
        state = Path(os.fsdecode(self.map_path(path))).stat()
        if not stat.S_ISREG(state.st_mode):
            raise _denied()
        self._files[id(opened)] = _Open(size=state.st_size, name=name.decode())
        return opened

    def _opened_for_upload(self, name: bytes, attrs: asyncssh.SFTPAttrs) -> object:
        hidden = b"/ack/" + _UPLOAD + name
        opened = super().open(hidden, asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_TRUNC, attrs)
        folder = self._folder.acks
        self._files[id(opened)] = _Open(
            temporary=folder / os.fsdecode(_UPLOAD + name), final=folder / os.fsdecode(name)
        )
        return opened
