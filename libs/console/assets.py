"""Static files: ours from the packages, foreign ones from the folder set-up filled; addressed by content, cached for a year.

An address carries a digest of the file (``/assets/console/console.css?v=...``), so a new file has a new address and caches are
never wrong.  Only files that were there at start are served: no path of a request ever reaches the file system.
"""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

PREFIX = "/assets"
_YEAR = "public, max-age=31536000, immutable"
_SHORT = "public, max-age=300"
MAX_OCTETS = 8 * 1024 * 1024
_SERVED = frozenset({".css", ".js", ".svg", ".png", ".ico", ".woff2"})

VENDOR = ("tabler/css/tabler.min.css", "tabler/js/tabler.min.js", "htmx/htmx.min.js", "echarts/echarts.min.js")
"""Files set-up puts into the assets folder; pages need all of them."""


class AssetsMissing(RuntimeError):
    """Foreign files are not where they should be; the text says which and what to do."""


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    digest: str
    media_type: str


class Assets:
    """All files, read once."""

    def __init__(self, vendor: Path, **folders: Path) -> None:
        """Read the foreign files of ``vendor`` and our ``folders``, each served under its name."""
        missing = [name for name in VENDOR if not (vendor / name).is_file()]
        if missing:
            raise AssetsMissing(
                f"web assets missing in {vendor}: {', '.join(missing)}; run `make run`, or set GUANXIN_ASSETS_DIR"
                f" / 缺少网页资源, 请运行 make run 或设置 GUANXIN_ASSETS_DIR"
            )
        self._files: dict[str, _File] = {name: _read(vendor / name) for name in VENDOR}
        for name, folder in folders.items():
            for path in sorted(folder.rglob("*")):
                if path.suffix in _SERVED and path.is_file():
                    self._files[f"{name}/{path.relative_to(folder).as_posix()}"] = _read(path)

    def url(self, name: str) -> str:
        """Return the address of a file; raises KeyError when there is none."""
        return f"{PREFIX}/{name}?v={self._files[name].digest}"

    async def serve(self, request: Request) -> Response:
        """Answer ``GET /assets/{path}``."""
        file = self._files.get(request.path_params["path"])
        if file is None:
            return Response(status_code=404)
        current = request.query_params.get("v") == file.digest
        headers = {"cache-control": _YEAR if current else _SHORT, "etag": f'"{file.digest}"'}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(file.body, media_type=file.media_type, headers=headers)


def _read(path: Path) -> _File:
    body = path.read_bytes()
    if len(body) > MAX_OCTETS:
        raise AssetsMissing(f"{path}: {len(body)} octets, at most {MAX_OCTETS}")
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return _File(body, hashlib.sha256(body).hexdigest()[:16], media_type)
