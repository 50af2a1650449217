"""The modem simulator's HTTP side: counters, faults, messages from phones, pulling plugs, and what the phones show."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Request, Response

from gsm import GsmError
from sim.carrier.faults import FaultsError
from sim.control import body, json, new_app, problem
from sim.modem.faults import ModemFaults, changed
from sim.modem.pool import Pool, Unit


class Message(msgspec.Struct, forbid_unknown_fields=True, rename={"sender": "from", "modem": "to"}):
    """A message from a phone: who writes, to which modem (name or number; the only one when left out), what."""

    sender: Annotated[str, msgspec.Meta(min_length=1, max_length=21)]
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    modem: Annotated[str, msgspec.Meta(max_length=40)] = ""
    message_class: Annotated[int, msgspec.Meta(ge=0, le=3)] | None = None


def build_app(pool: Pool) -> FastAPI:
    """Return the application of one pool."""
    app = new_app("Modem simulator")
    _counting(app, pool)
    _misbehaving(app, pool)

    @app.post("/mo")
    async def mo(request: Request) -> Response:
        try:
            message = msgspec.json.decode(await body(request), type=Message)
            name = pool.modem_of(message.modem or _only(pool))
            if name is None:
                return problem("unknown_modem", "to: say which; known are " + ", ".join(pool.units))
            segments = pool.say(name, message.sender, message.text, message.message_class)
        except (GsmError, msgspec.MsgspecError, ValueError) as error:
            return problem("invalid_message", str(error))
        return json({"queued": True, "segments": segments})

    @app.get("/modems")
    async def modems() -> Response:
        return json(pool.shown())

    @app.post("/modems/{name}/{action}")
    async def act(name: str, action: str) -> Response:
        unit = pool.units.get(name)
        if unit is None:
            return problem("unknown_modem", f"known are {', '.join(pool.units)}", 404)
        if action not in {"unplug", "plug", "reboot"}:
            return problem("unknown_action", "known are unplug, plug, reboot", 404)
        await _act(unit, action)
        return json({action: True})

    return app


def _counting(app: FastAPI, pool: Pool) -> None:
    @app.get("/stats")
    async def stats() -> Response:
        return json(pool.statistics())

    @app.post("/reset")
    async def reset() -> Response:
        pool.reset()
        return json({"reset": True})

    @app.get("/messages")
    async def messages(limit: int = 50) -> Response:
        return json(pool.samples(max(1, min(limit, 200))))


def _misbehaving(app: FastAPI, pool: Pool) -> None:
    @app.get("/faults")
    async def faults() -> Response:
        return json(pool.faults)

    @app.put("/faults")
    async def set_faults(request: Request) -> Response:
        """Change the named faults of all modems; `{"reset": true}` brings back good behaviour."""
        return await _change(request, pool, "", pool.faults)

    @app.get("/modems/{name}/faults")
    async def faults_of(name: str) -> Response:
        unit = pool.units.get(name)
        return problem("unknown_modem", name, 404) if unit is None else json(unit.device.faults)

    @app.put("/modems/{name}/faults")
    async def set_faults_of(name: str, request: Request) -> Response:
        """Change the named faults of one modem."""
        unit = pool.units.get(name)
        if unit is None:
            return problem("unknown_modem", name, 404)
        return await _change(request, pool, name, unit.device.faults)


async def _change(request: Request, pool: Pool, name: str, now: ModemFaults) -> Response:
    try:
        change = msgspec.json.decode(await body(request), type=dict[str, Any])
        faults = changed(ModemFaults() if change.pop("reset", False) else now, change)
    except (FaultsError, msgspec.MsgspecError, ValueError) as error:
        return problem("invalid_faults", str(error))
    pool.change(faults, name)
    return json(faults)


async def _act(unit: Unit, action: str) -> None:
    if action == "plug":
        await unit.plug()
    elif action == "unplug":
        unit.unplug()
    elif unit.plugged:
        unit.device.reboot()
        unit.touched()


def _only(pool: Pool) -> str:
    return next(iter(pool.units)) if len(pool.units) == 1 else ""
