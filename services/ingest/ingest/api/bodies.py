"""Reading request bodies: small ones into memory, large ones into a spool file, all of them bounded and digested on the way."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import NamedTuple

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from servicekit.problems import MALFORMED, TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, Problem

MAX_FIELD = 16 * 1024
"""Octets of one form field; a content of 2,000 characters has 8,000."""


class Body(NamedTuple):
    """A body in memory, or in the file at ``path``."""

    octets: bytes | None
    path: str
    sha256: str


class Upload(NamedTuple):
    """A form with one file, which is at ``path``."""

    fields: dict[str, str]
    path: str
    name: str
    sha256: str
    """Of the body as it came: what a signature covers."""
    digest: bytes
    """Of fields and file: the same for a repetition, whose multipart boundary is another."""


def too_large(limit: int) -> Problem:
    """Return the refusal of a body above ``limit`` octets."""
    return Problem(TOO_LARGE, zh=f"请求体最多 {limit} 字节", en=f"The body may have {limit} octets")


async def read(request: Request, *, inline: int, limit: int, folder: Path) -> Body:
    """Return the body; raises `Problem` (413, 400 when the caller went away)."""
    digest = hashlib.sha256()
    pieces: list[bytes] = []
    size = 0
    stream = _bounded(request, limit)
    async for piece in stream:
        digest.update(piece)
        pieces.append(piece)
        size += len(piece)
        if size > inline:
            break
    else:
        return Body(b"".join(pieces), "", digest.hexdigest())
    path = folder / f"{uuid.uuid4().hex}.body"
    try:
        with path.open("wb") as file:
            file.writelines(pieces)
            async for piece in stream:
                digest.update(piece)
                # Into the page cache: some microseconds for 64 kB, less than handing it to a thread.
                file.write(piece)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return Body(None, str(path), digest.hexdigest())


async def _bounded(request: Request, limit: int) -> AsyncIterator[bytes]:
    size = 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > limit:
                raise too_large(limit)
            yield piece
    except ClientDisconnect as error:
        raise Problem(MALFORMED, zh="请求未发完", en="The request was cut off") from error


async def read_upload(request: Request, *, limit: int, folder: Path) -> Upload:
    """Return the form of an upload, its file moved into ``folder``; raises `Problem` (400, 413, 415)."""
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/form-data"):
        raise Problem(UNSUPPORTED_MEDIA_TYPE, zh="须为 multipart/form-data", en="multipart/form-data is needed")
    whole = hashlib.sha256()
    form = await _parse(request.headers, _digested(request, limit, whole))
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise Problem(MALFORMED, zh="缺少名为 file 的文件", en="There is no file called `file`")
        fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
        path = folder / f"{uuid.uuid4().hex}.upload"
        try:
            content = await asyncio.to_thread(_keep, file, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    finally:
        await form.close()
    digest = hashlib.sha256(content)
    for name in sorted(fields):
        digest.update(f"\0{name}\0{fields[name]}".encode("utf-8", "surrogatepass"))
    return Upload(fields, str(path), file.filename or "", whole.hexdigest(), digest.digest())


async def _digested(request: Request, limit: int, whole: hashlib._Hash) -> AsyncGenerator[bytes, None]:
    async for piece in _bounded(request, limit):
        whole.update(piece)
        yield piece


async def _parse(headers: Headers, stream: AsyncGenerator[bytes, None]) -> FormData:
    try:
        return await MultiPartParser(headers, stream, max_files=1, max_fields=30, max_part_size=MAX_FIELD).parse()
    except (MultiPartException, KeyError, UnicodeDecodeError, LookupError) as error:
        # KeyError: no boundary in the header; LookupError: a charset nobody knows.
        raise Problem(MALFORMED, zh="表单格式错误", en="The form is malformed") from error


def _keep(file: UploadFile, path: Path) -> bytes:
    """Copy the upload to ``path`` and return the digest of its octets."""
    file.file.seek(0)
    with path.open("wb") as target:
        shutil.copyfileobj(file.file, target, 1 << 20)
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").digest()
