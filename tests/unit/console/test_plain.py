"""What reaches a page's code holds no NUL, however the octets were cut; what is no form passes untouched."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from hypothesis import given
from hypothesis import strategies as st

from console.plain import PlainInput

FORM = b"application/x-www-form-urlencoded; charset=utf-8"


async def passed(
    kind: bytes, pieces: list[bytes], path: str = "/x", query: bytes = b""
) -> tuple[dict[str, Any], bytes]:
    """Return scope and body as the application behind the sieve sees them."""
    seen: dict[str, Any] = {}
    waiting = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})

    async def app(scope, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        seen.update(scope=scope, body=body)

    async def receive():
        return waiting.pop(0)

    scope = {"type": "http", "path": path, "query_string": query, "headers": [(b"content-type", kind), (b"host", b"h")]}
    await PlainInput(app)(scope, receive, None)
    return seen["scope"], seen["body"]


PIECES = st.lists(
    st.sampled_from([b"%", b"0", b"00", b"%0", b"%00", b"\0", b"a=", b"&", b"%E5%A5%BD", b"2"]), max_size=20
)


@given(PIECES)
async def test_a_form_holds_no_nul_wherever_it_was_cut(pieces):
    _, body = await passed(FORM, pieces)
    assert not any("\0" in name + value for name, value in parse_qsl(body.decode("latin-1"), keep_blank_values=True))
    assert body == b"".join(pieces).replace(b"%00", b"%EF%BF%BD").replace(b"\0", b"%EF%BF%BD")


@given(PIECES)
async def test_other_bodies_pass_untouched(pieces):
    _, body = await passed(b"application/json", pieces)
    assert body == b"".join(pieces)


async def test_path_and_query_hold_no_nul():
    scope, _ = await passed(b"", [], "/tasks/\0", b"port=%00&x=\0&y=%2500")
    assert scope["path"] == "/tasks/\ufffd"
    assert scope["query_string"] == b"port=%EF%BF%BD&x=%EF%BF%BD&y=%2500"


async def test_a_multipart_body_is_no_form():
    scope, _ = await passed(b"Multipart/form-data; boundary=x; charset=utf-7", [b"--x"])
    assert scope["headers"] == [(b"host", b"h")]
