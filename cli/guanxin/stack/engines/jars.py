"""Obtains Kafka's jars exactly as ``jgo.lock.toml`` names them: a jar whose digest differs is never put on the class
path.

``jgo`` resolves and downloads; the lock holds coordinates, versions and SHA-256 digests and no addresses.
``python -m guanxin.stack.engines.jars lock`` writes the lock anew from ``jgo.toml``.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from guanxin.stack import paths
from guanxin.stack.errors import StackError

# jgo takes a third of a second to import and is needed only when jars must be fetched: so the functions that do
# import it.
if TYPE_CHECKING:
    from jgo.env import LockedDependency
    from jgo.maven import MavenContext

DOWNLOADS_AT_ONCE = 6
HTTP_TIMEOUT_S = 60

Progress = Callable[[int, int], None]


def _context() -> MavenContext:
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415

    # jgo's resolver in Python; Maven itself is not needed. Its cache is the usual ~/.m2/repository (or M2_REPO).
    return MavenContext(resolver=PythonResolver(), timeout=HTTP_TIMEOUT_S)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_lock(spec_path: Path, lock_path: Path) -> int:
    """Resolve ``spec_path`` and write the lock; returns the number of jars."""
    from jgo.env import EnvironmentBuilder, EnvironmentSpec, LockFile  # noqa: PLC0415

    context = _context()
    spec = EnvironmentSpec.load(spec_path)
    with TemporaryDirectory() as scratch:
        wanted = EnvironmentBuilder(context, cache_dir=Path(scratch)).spec_to_dependencies(spec)
    inputs, transitive = context.resolver.resolve(wanted)
    jars = sorted(inputs + transitive, key=lambda dep: (dep.groupId, dep.artifactId))
    lock = LockFile.from_resolved_dependencies(jars, environment_name=spec.name, java_version=spec.java_version)
    lock.save(lock_path)
    return len(jars)


def obtain(lock_path: Path, engines_dir: Path, progress: Progress | None = None) -> Path:
    """Return a directory with exactly the locked jars, downloading what is missing.

    The directory's name holds the lock's digest, and it appears by one rename, so it is complete whenever it exists.
    ``progress(done, total)`` is called after each jar. Raises StackError when a jar cannot be had or its digest
    differs.
    """
    target = engines_dir / f"kafka-{_sha256(lock_path)[:12]}"
    if target.is_dir():
        return target
    from jgo.env import LockFile  # noqa: PLC0415

    lock = LockFile.load(lock_path)
    engines_dir.mkdir(parents=True, exist_ok=True)
    context = _context()
    with (
        TemporaryDirectory(dir=engines_dir, prefix=".kafka-") as scratch,
        ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool,
    ):
        incoming = Path(scratch) / "jars"
        incoming.mkdir()
        jobs = [pool.submit(_obtain_one, context, dep, incoming) for dep in lock.dependencies]
        for done, job in enumerate(jobs, start=1):
            job.result()
            if progress is not None:
                progress(done, len(jobs))
        if not target.exists():  # another process may have finished first
            incoming.rename(target)
    return target


def _obtain_one(context: MavenContext, locked: LockedDependency, incoming: Path) -> None:
    group, name, version = locked.groupId, locked.artifactId, locked.version
    classifier, packaging = locked.classifier or "", locked.packaging
    artifact = context.project(group, name).at_version(version).artifact(classifier, packaging)
    try:
        path = artifact.resolve()
    except Exception as error:
        raise StackError(
            "jar_unavailable",
            (f"无法取得 {group}:{name}:{version}：{error}", f"Cannot obtain {group}:{name}:{version}: {error}."),
            (
                "请检查到 Maven 中央仓库的网络或代理设置，然后重试。",
                "Check the network or proxy settings towards Maven's central repository, then try again.",
            ),
        ) from error
    if _sha256(path) != locked.sha256:
        path.unlink()
        raise StackError(
            "jar_digest_mismatch",
            (
                f"{path.name} 的摘要与 jgo.lock.toml 不符，文件已删除。",
                f"{path.name} does not have the digest of jgo.lock.toml; removed.",
            ),
            (
                "请重试；若再次出现，说明仓库内容被改动。",
                "Try again; if it happens again, the repository serves something else.",
            ),
        )
    shutil.copy2(path, incoming / path.name)


def main(arguments: list[str]) -> int:
    """Entry for maintenance: ``lock`` writes jgo.lock.toml, ``fetch`` obtains the jars and prints where they are."""
    if arguments == ["lock"]:
        print(write_lock(paths.JGO_SPEC, paths.JGO_LOCK))  # noqa: T201 - a maintenance command's answer
        return 0
    if arguments == ["fetch"]:
        print(obtain(paths.JGO_LOCK, paths.local_dir() / "engines"))  # noqa: T201
        return 0
    print("usage: python -m guanxin.stack.engines.jars lock|fetch", file=sys.stderr)  # noqa: T201
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
