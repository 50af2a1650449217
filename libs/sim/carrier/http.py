"""The simulator's HTTP side: counters, faults, replies from phones, and what the phones show.

Of one gateway or of several: a query or field ``gateway`` says which one is meant, and without it all of them.
For tests and for people on the same machine; it is not authenticated and listens on loopback unless told otherwise.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Request, Response

from sim.carrier.faults import Faults, FaultsError, changed
from sim.carrier.gateway import Gateway
from sim.carrier.hub import Hub, UnknownGatewayError
from sim.control import body, json, new_app, problem
from smstext import NumberError, TextError, normalise, valid_port


class Reply(msgspec.Struct, forbid_unknown_fields=True, rename={"sender": "from", "port": "to"}):
    """A message from a phone: who writes, to which port, what, through which gateway (its carrier's when left out), and on
    whose account (the only one when left out).
    """

    sender: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    port: Annotated[str, msgspec.Meta(min_length=1, max_length=21)]
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    account: str = ""
    gateway: str = ""


class Watch(msgspec.Struct, forbid_unknown_fields=True):
    """The sender whose submits' arrivals are noted."""

    sender: Annotated[str, msgspec.Meta(max_length=21)]


def build_app(hub: Hub) -> FastAPI:
    """Return the application of a process's gateways."""
    app = new_app("Carrier simulator")

    @app.get("/stats")
    async def stats() -> Response:
        return json(hub.document())

    @app.post("/reset")
    async def reset() -> Response:
        for gateway in hub.chosen(""):
            gateway.reset()
        return json({"reset": True})

    @app.put("/watch")
    async def watch(request: Request) -> Response:
        """Note when submits of one sender arrive, nobody's when it is empty."""
        try:
            wanted = msgspec.json.decode(await body(request), type=Watch)
        except (msgspec.MsgspecError, ValueError) as error:
            return problem("invalid_watch", str(error))
        for gateway in hub.chosen(""):
            gateway.stats.watch(wanted.sender)
        return json({"watched": wanted.sender})

    @app.get("/arrivals")
    async def arrivals() -> Response:
        """Return recipient and Unix time in seconds of every submit of the watched sender, as it arrived."""
        return json([arrival for gateway in hub.chosen("") for arrival in gateway.stats.arrivals])

    @app.get("/faults")
    async def faults(gateway: str = "") -> Response:
        try:
            return json(hub.chosen(gateway)[0].behaviour.faults)
        except UnknownGatewayError as error:
            return problem("unknown_gateway", str(error))

    @app.put("/faults")
    async def set_faults(request: Request, gateway: str = "") -> Response:
        """Change the named faults; an empty object changes nothing, `{"reset": true}` brings back good behaviour."""
        try:
            change = msgspec.json.decode(await body(request), type=dict[str, Any])
            fresh = change.pop("reset", False)
            chosen = hub.chosen(gateway)
            # All or none: what is wrong for one must not have changed another.
            wanted = [changed(Faults() if fresh else one.behaviour.faults, change) for one in chosen]
        except UnknownGatewayError as error:
            return problem("unknown_gateway", str(error))
        except (FaultsError, msgspec.MsgspecError, ValueError) as error:
            return problem("invalid_faults", str(error))
        for one, faults in zip(chosen, wanted, strict=True):
            one.behaviour.change(faults)
        return json(wanted[0])

    @app.post("/mo")
    async def mo(request: Request) -> Response:
        try:
            reply = msgspec.json.decode(await body(request), type=Reply)
            number = normalise(reply.sender)
            if not valid_port(reply.port):
                return problem("invalid_port", "to: not a port")
            gateway = hub.home_of(number, reply.account, reply.gateway)
            account = reply.account or _only_account(gateway)
            if account not in gateway.accounts:
                return problem("unknown_account", "account: say which; known are " + ", ".join(gateway.accounts))
            segments = gateway.say(account, str(number), reply.port, reply.text)
        except UnknownGatewayError as error:
            return problem("unknown_gateway", str(error))
        except (NumberError, TextError, ValueError) as error:
            return problem("invalid_reply", str(error))
        return json({"queued": True, "segments": segments})

    @app.get("/messages")
    async def messages(limit: int = 50, gateway: str = "") -> Response:
        return json(hub.samples(max(1, min(limit, 200)), gateway))

    return app


def _only_account(gateway: Gateway) -> str:
    return next(iter(gateway.accounts)) if len(gateway.accounts) == 1 else ""
