"""How to run a program that refuses to be root, when we are root.

PostgreSQL refuses uid 0. In a user namespace where our uid is shown as 1000 it sees an ordinary user, while all
files stay
ours: no system user, no chown. Where the kernel forbids that, ``setpriv`` drops to uid 1000, which needs the data to
be given to it.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from guanxin.stack.errors import StackError

UNPRIVILEGED = 1000


@dataclass(frozen=True, slots=True)
class Rootless:
    """A command prefix, and the uid that must own the data (None: whoever we are, and there is no choice)."""

    prefix: tuple[str, ...]
    owner: int | None

    def give(self, directory: Path) -> None:
        """Make ``directory`` and its contents belong to the user the program will run as; raises StackError when it
        cannot get there.

        The other way may have been taken the last time, so this is asked before every start.
        """
        if self.owner is None:
            return
        if self.owner != 0:
            _check_way_to(directory.parent)
        if directory.stat().st_uid == self.owner:
            return
        for path in [directory, *directory.rglob("*")]:
            os.chown(path, self.owner, self.owner, follow_symlinks=False)


def _check_way_to(directory: Path) -> None:
    for step in (directory, *directory.parents):
        if not step.stat().st_mode & stat.S_IXOTH:
            raise StackError(
                "directory_closed",
                (
                    f"PostgreSQL 将以 uid {UNPRIVILEGED} 运行，但 {step} 不允许其他用户进入。",
                    f"PostgreSQL will run as uid {UNPRIVILEGED}, which may not pass through {step}.",
                ),
                (
                    f"请以普通用户运行，或把 GUANXIN_LOCAL_DIR 设为可进入的目录，或 chmod o+x {step}。",
                    f"Run as an ordinary user, or set GUANXIN_LOCAL_DIR to an open place, or chmod o+x {step}.",
                ),
            )


def _works(prefix: tuple[str, ...]) -> bool:
    done = subprocess.run([*prefix, "id", "-u"], capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout.strip() == str(UNPRIVILEGED)


@cache
def rootless() -> Rootless:
    """Return how to start a program as no root; raises StackError when we are root and neither way is open."""
    if os.geteuid() != 0:
        return Rootless((), None)
    namespace = ("unshare", "--user", f"--map-user={UNPRIVILEGED}")
    if shutil.which("unshare") and _works(namespace):
        return Rootless(namespace, 0)
    # --pdeathsig keep: changing the uid would clear the signal that ties the child's life to its supervisor's.
    dropped = ("setpriv", f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--clear-groups", "--pdeathsig", "keep")
    if shutil.which("setpriv") and _works(dropped):
        return Rootless(dropped, UNPRIVILEGED)
    raise StackError(
        "cannot_drop_root",
        (
            "PostgreSQL 拒绝以 root 运行，而此处既不能用用户命名空间也不能用 setpriv。",
            "PostgreSQL refuses to run as root, and neither a user namespace nor setpriv is possible here.",
        ),
        ("请以普通用户运行，或安装 util-linux。", "Run as an ordinary user, or install util-linux."),
    )
