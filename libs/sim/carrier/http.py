"""The simulator's HTTP side: counters, faults, replies from phones, and what the phones show.

For tests and for people on the same machine; it is not authenticated and listens on loopback unless told otherwise.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Request, Response

from sim.carrier.faults import Faults, FaultsError, changed
from sim.carrier.gateway import Gateway
from sim.control import body, json, new_app, problem
from smstext import NumberError, TextError, normalise, valid_port


class Reply(msgspec.Struct, forbid_unknown_fields=True, rename={"sender": "from", "port": "to"}):
    """A message from a phone: who writes, to which port, what, and on whose account (the only one when left out)."""

    sender: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    port: Annotated[str, msgspec.Meta(min_length=1, max_length=21)]
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    account: str = ""


def build_app(gateway: Gateway) -> FastAPI:
    """Return the application of one gateway."""
    app = new_app("Carrier simulator")

    @app.get("/stats")
    async def stats() -> Response:
        return json({"since": gateway.since_ms, **gateway.stats.document(gateway.clock())})

    @app.post("/reset")
    async def reset() -> Response:
        gateway.reset()
        return json({"reset": True})

    @app.get("/faults")
    async def faults() -> Response:
        return json(gateway.behaviour.faults)

    @app.put("/faults")
    async def set_faults(request: Request) -> Response:
        """Change the named faults; an empty object changes nothing, `{"reset": true}` brings back good behaviour."""
        try:
            change = msgspec.json.decode(await body(request), type=dict[str, Any])
            base = Faults() if change.pop("reset", False) else gateway.behaviour.faults
            gateway.behaviour.change(changed(base, change))
        except (FaultsError, msgspec.MsgspecError, ValueError) as error:
            return problem("invalid_faults", str(error))
        return json(gateway.behaviour.faults)

    @app.post("/mo")
    async def mo(request: Request) -> Response:
        try:
            reply = msgspec.json.decode(await body(request), type=Reply)
            number = normalise(reply.sender)
            if not valid_port(reply.port):
                return problem("invalid_port", "to: not a port")
            account = reply.account or _only_account(gateway)
            if account not in gateway.accounts:
                return problem("unknown_account", "account: say which; known are " + ", ".join(gateway.accounts))
            segments = gateway.say(account, str(number), reply.port, reply.text)
        except (NumberError, TextError, ValueError) as error:
            return problem("invalid_reply", str(error))
        return json({"queued": True, "segments": segments})

    @app.get("/messages")
    async def messages(limit: int = 50) -> Response:
        return json(gateway.samples(max(1, min(limit, 200))))

    return app


def _only_account(gateway: Gateway) -> str:
    return next(iter(gateway.accounts)) if len(gateway.accounts) == 1 else ""
