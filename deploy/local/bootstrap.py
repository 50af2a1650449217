"""Makes ``.venv`` from the locks, with nothing but Python's own library: the first thing `make` runs on a fresh
machine.

``bootstrap.py run`` installs requirements.lock, ``bootstrap.py dev`` requirements-dev.lock (which contains it).
Every package must have
a digest of the lock. The import roots are put on the path by a ``.pth`` file, so nothing of ours is built. A digest
of the inputs
is kept beside the environment, so a second run takes no time; an environment that was interrupted half-way is
completed by the next.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST_PYTHON = (3, 11)
ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
LOCKS = {"run": ROOT / "requirements.lock", "dev": ROOT / "requirements-dev.lock"}
IMPORT_ROOTS = (
    "libs",
    "cli",
    *(f"services/{name}" for name in ("ingest", "spamfilter", "review", "dispatch", "billing-sync")),
)

LAUNCHER = """#!{python}
import sys
from guanxin.main import main
sys.exit(main())
"""


class BootstrapError(Exception):
    """What failed and what to do, in both languages (the environment that would choose one is not there yet)."""


def _say(zh: str, en: str) -> None:
    sys.stderr.write(f"{zh} / {en}\n")


def _python() -> Path:
    return VENV / "bin" / "python"


def _digest(kind: str) -> str:
    parts = [LOCKS[kind].read_bytes(), Path(__file__).read_bytes(), sys.version.encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _stamp(kind: str) -> Path:
    return VENV / f".installed-{kind}"


def _is_done(kind: str) -> bool:
    stamp = _stamp(kind)
    return stamp.exists() and stamp.read_text(encoding="ascii") == _digest(kind) and _python().exists()


def _run(command: list[str], zh: str, en: str) -> None:
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode != 0:
        raise BootstrapError(f"{zh} / {en}\n  {' '.join(command)} -> {done.returncode}")


def _make_environment() -> list[str]:
    """Make the environment when there is none; returns the command of a pip that installs into it."""
    pip_inside = [str(_python()), "-m", "pip"]
    if (
        _python().exists()
        and subprocess.run([*pip_inside, "--version"], capture_output=True, check=False).returncode == 0
    ):
        return pip_inside
    _say("创建虚拟环境 .venv", "creating the environment .venv")
    shutil.rmtree(VENV, ignore_errors=True)
    bare = importlib.util.find_spec("ensurepip") is None
    if bare and importlib.util.find_spec("pip") is None:
        raise BootstrapError(
            "这个 Python 没有 venv/pip，请安装（Debian：apt-get install python3-venv）。\n"
            "This Python has neither venv nor pip; install them (Debian: apt-get install python3-venv)."
        )
    options = ["--without-pip"] if bare else []
    _run([sys.executable, "-m", "venv", *options, str(VENV)], "无法创建虚拟环境", "cannot create the environment")
    return [sys.executable, "-m", "pip", "--python", str(_python())] if bare else pip_inside


def _link_sources() -> None:
    """Put the import roots on the path, and the `guanxin` command beside the interpreter."""
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([_python(), "-c", query], capture_output=True, text=True, check=True)
    lines = "".join(f"{ROOT / root}\n" for root in IMPORT_ROOTS)
    (Path(done.stdout.strip()) / "guanxin.pth").write_text(lines, encoding="utf-8")
    launcher = VENV / "bin" / "guanxin"
    launcher.write_text(LAUNCHER.format(python=_python()), encoding="utf-8")
    launcher.chmod(0o755)


def install(kind: str) -> None:
    """Bring the environment to what the lock of ``kind`` says."""
    if _is_done(kind) or (kind == "run" and _is_done("dev")):
        return
    pip = _make_environment()
    lock = LOCKS[kind]
    _say(f"按 {lock.name} 安装依赖（首次约一两分钟）", f"installing {lock.name} (a minute or two the first time)")
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    _run(
        [*pip, "install", "--require-hashes", "--no-deps", "--disable-pip-version-check", *quiet, "-r", str(lock)],
        "依赖安装失败：请检查网络或包镜像设置后重试",
        "installing failed: check the network or the package mirror and try again",
    )
    _link_sources()
    _stamp(kind).write_text(_digest(kind), encoding="ascii")


def main(arguments: list[str]) -> int:
    """Entry point; the argument is ``run`` or ``dev``."""
    if sys.version_info < OLDEST_PYTHON:
        found = ".".join(str(part) for part in sys.version_info[:3])
        _say(f"需要 Python 3.11 或更新（现为 {found}）", f"Python 3.11 or newer is needed (this is {found})")
        return 1
    if len(arguments) != 1 or arguments[0] not in LOCKS:
        _say("用法：bootstrap.py run|dev", "usage: bootstrap.py run|dev")
        return 2
    os.environ.pop("PYTHONPATH", None)
    try:
        install(arguments[0])
    except BootstrapError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
