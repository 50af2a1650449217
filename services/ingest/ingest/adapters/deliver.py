"""One webhook request: the host resolved here, every address judged, the connection made to the address that was judged.

A name that resolves to a private address at the second look-up (DNS rebinding) therefore gains nothing.  Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address

import httpx

from ingest.domain.callback import allowed, check_url
from ingest.domain.refusal import Refused

MAX_ANSWER = 4_096
"""Octets read of an answer; only its status matters."""


class DeliveryError(Exception):
    """The receiver did not take it; the text names the reason without contents."""


class Deliverer:
    """Posts signed bodies; one per process."""

    def __init__(self, *, private: bool, timeout_s: float) -> None:
        self._private = private
        self._timeout_s = timeout_s
        self._client = httpx.AsyncClient(
            timeout=timeout_s,
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(max_connections=50, max_keepalive_connections=20, keepalive_expiry=15),
        )

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        """Deliver, or raise `DeliveryError`; any 2xx is taken as received."""
        try:
            async with asyncio.timeout(self._timeout_s * 1.5):
                status = await self._post(url, body, headers)
        except (httpx.HTTPError, OSError, TimeoutError, UnicodeError, httpx.InvalidURL) as error:
            raise DeliveryError(type(error).__name__) from error
        except Refused as refused:
            raise DeliveryError(f"{refused.code}: {refused.details.get('reason', '')}") from refused
        if not 200 <= status < 300:
            raise DeliveryError(f"HTTP {status}")

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        target = httpx.URL(check_url(url, private=self._private))
        address = await self._resolve(target.host, target.port or (443 if target.scheme == "https" else 80))
        request = self._client.build_request(
            "POST",
            target.copy_with(host=address),
            content=body,
            headers={**headers, "host": target.netloc.decode("ascii")},
            extensions={"sni_hostname": target.host},
        )
        response = await self._client.send(request, stream=True)
        try:
            seen = 0
            async for piece in response.aiter_raw():
                seen += len(piece)
                if seen > MAX_ANSWER:
                    break
        finally:
            await response.aclose()
        return response.status_code

    async def _resolve(self, host: str, port: int) -> str:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
        for address in addresses:
            if not allowed(ip_address(address), private=self._private):
                raise Refused("callback_refused", {"reason": "the host resolves to a private or local address"})
        if not addresses:
            raise DeliveryError("the host has no address")
        return addresses[0]

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
