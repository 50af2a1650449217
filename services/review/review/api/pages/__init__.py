"""The pages of the console: queue, task, report, audit log, ports, people."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI

from console.accounts import Role
from console.live import Hub
from console.shell import NavItem, Shell
from review.handlers.decide import Desk
from review.handlers.inspect import Inspector
from review.handlers.people import People
from review.handlers.ports import Ports
from review.settings import ReviewSettings
from servicekit.clock import Clock
from servicekit.database import Database

_PACKAGE = Path(__file__).parents[2]

DECIDERS = (Role.REVIEWER, Role.SUPERVISOR)
"""Who claims and decides; administrators rule and auditors read."""

NAV = (
    NavItem("/queue", "nav.queue", "queue"),
    NavItem("/report", "nav.report", "chart"),
    NavItem("/ports", "nav.ports", "port"),
    NavItem("/audit", "nav.audit", "shield", frozenset({Role.SUPERVISOR, Role.ADMIN, Role.AUDITOR})),
    NavItem("/users", "nav.users", "users", frozenset({Role.ADMIN})),
)


@dataclass(frozen=True, slots=True)
class Console:
    """What the pages work with."""

    shell: Shell
    hub: Hub
    clock: Clock
    database: Database
    desk: Desk
    people: People
    ports: Ports
    inspector: Inspector


def build_shell(settings: ReviewSettings, clock: Clock, people: People) -> Shell:
    """Return the shell with review's templates, texts and files."""
    return Shell(
        accounts=people,
        clock=clock,
        vendor_assets=settings.assets_dir,
        templates=_PACKAGE / "templates",
        static={"review": _PACKAGE / "static"},
        messages=[_PACKAGE / "templates" / "messages.toml"],
        nav=NAV,
        home="/queue",
        secure_cookies=settings.console_secure_cookies,
    )


def build_pages(app: FastAPI, console: Console) -> None:
    """Mount the shell and add every page."""
    from review.api.pages import audit, ports, queue, report, task, users  # noqa: PLC0415 - they need `Console`

    console.shell.mount(app)
    for page in (queue, task, report, ports, audit, users):
        page.add(app, console)
