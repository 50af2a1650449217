"""``python -m bench [NAME] [ARGUMENT ...]``: run one benchmark, or list them all.  ``guanxin bench NAME`` does the same."""

from __future__ import annotations

import ast
import runpy
import signal
import sys
from pathlib import Path

HERE = Path(__file__).parent


def benchmarks() -> dict[str, str]:
    """Return the first sentence of every benchmark's own description, by name."""
    found = {}
    for path in sorted(HERE.glob("*.py")):
        module = ast.parse(path.read_text("utf-8"))
        if path.stem == "__main__" or not any(getattr(part, "name", "") == "main" for part in module.body):
            continue
        described = ast.get_docstring(module) or ""
        found[path.stem.replace("_", "-")] = described.split("\n")[0]
    return found


def main(arguments: list[str]) -> int:
    """Return 0 done, 2 for a name there is not."""
    known = benchmarks()
    if not arguments:
        for name, sentence in known.items():
            print(f"{name:<18} {sentence}")
        return 0
    name, *rest = arguments
    if name not in known:
        print(f"no benchmark is called {name}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    # Asked to end, a benchmark still stops the stack and the programs it started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.path.insert(0, str(HERE))
    sys.argv = [f"bench {name}", *rest]
    runpy.run_path(str(HERE / f"{name.replace('-', '_')}.py"), run_name="__main__")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
