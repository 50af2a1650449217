"""The components of the local stack: one place that says what is started, with which command, settings and ports.

Rows of services differ only in `_SERVICES`: module and usual port. All settings of a service go by its environment
(`servicekit.settings`), everything secret by the secrets file.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from guanxin.stack import carriers, credentials, paths, ports, probe
from guanxin.stack.component import Launch, Plan
from guanxin.stack.config import StackConfig
from guanxin.stack.engines import kafka, postgres
from guanxin.stack.seed import TENANT
from guanxin.stack.services import SERVICES

USUAL_KAFKA, USUAL_CONTROLLER, USUAL_POSTGRES = 9092, 9093, 5432
USUAL_EXTRA = 8100  # further workers: a hundred for each service


@dataclass(frozen=True, slots=True)
class Service:
    """What is particular to a service: its module, usual port, and whether people or programs call it."""

    module: str
    port: int
    extra_ports: dict[str, int] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


_SERVICES: dict[str, Service] = {
    # Business systems of the demo listen on this machine.
    "ingest": Service("ingest", 8080, environment={"GUANXIN_WEBHOOK_PRIVATE_TARGETS": "true"}),
    "spamfilter": Service("spamfilter", 8081),
    # The demo must work at any hour of any day; where it matters the hours are the specification's.
    "review": Service(
        "review",
        8082,
        environment={
            "GUANXIN_REVIEW_HOURS": "00:00-24:00",
            "GUANXIN_REVIEW_EVERY_DAY": "true",
            "GUANXIN_REVIEW_SENDING_WINDOW": "00:00-24:00",
        },
    ),
    "dispatch": Service("dispatch", 8083, environment={"GUANXIN_QUIET_HOURS": ""}),
    # Whoever looks at the demo should not wait five minutes for the first charging file.
    "billing-sync": Service(
        "billing_sync",
        8084,
        extra_ports={"sftp": 2222},
        environment={"GUANXIN_BILLING_INTERVAL_S": "20", "GUANXIN_BILLING_TARIFF_TENANTS": TENANT},
    ),
}
assert tuple(_SERVICES) == SERVICES


@dataclass(slots=True)
class Layout:
    """Directory, configuration, secrets and ports of one stack, and the plans of its components."""

    local: Path
    config: StackConfig
    secrets: credentials.Secrets
    remembered: dict[str, dict[str, int]]
    jars: Path | None = None
    _taken: set[int] = field(default_factory=set)
    _chosen: dict[str, dict[str, int]] = field(default_factory=dict)

    def ports(self, component: str, usual: dict[str, int]) -> dict[str, int]:
        """Return the component's ports, chosen at the first call: last run's, the usual ones, or free ones."""
        if component not in self._chosen:
            last = self.remembered.get(component, {})
            self._chosen[component] = {
                name: ports.choose([last[name], port] if name in last else [port], self._taken)
                for name, port in usual.items()
            }
        return self._chosen[component]

    def choose_again(self, component: str) -> None:
        """Forget the component's ports: somebody took one between our choosing it and listening on it."""
        self._chosen.pop(component, None)
        self.remembered.pop(component, None)

    def unusual(self) -> list[str]:
        """Return, for the user, which ports are not the usual ones because somebody else has those."""
        usual = {
            "kafka": {"kafka": USUAL_KAFKA},
            "postgres": {"postgres": USUAL_POSTGRES},
            **{f"{name}-1": {"http": row.port} for name, row in _SERVICES.items()},
        }
        return [
            f"{component}: {chosen[name]} (≠ {port})"
            for component, wanted in usual.items()
            for name, port in wanted.items()
            if (chosen := self._chosen.get(component)) is not None and chosen.get(name, port) != port
        ]

    def chosen_ports(self) -> dict[str, dict[str, int]]:
        """Return all ports chosen so far, by component and name."""
        return {name: dict(chosen) for name, chosen in self._chosen.items()}

    def describe(self) -> dict[str, Any]:
        """Return where the stack is to be reached and with which secrets: the head of `status --json`."""
        return {
            "api": {"url": self.address("ingest"), "key": self.secrets.api_key},
            "console": {"url": self.address("review"), "logins": [asdict(login) for login in self.secrets.logins]},
            "kafka": {"bootstrap_servers": self.bootstrap_servers},
            "database": {"url": self.database_url},
        }

    # -- addresses -------------------------------------------------------------------------------------------------

    @property
    def bootstrap_servers(self) -> str:
        """Return the broker's address, the foreign one where configured."""
        return (
            self.config.kafka.bootstrap_servers or f"127.0.0.1:{self.ports('kafka', {'kafka': USUAL_KAFKA})['kafka']}"
        )

    @property
    def database_url(self) -> str:
        """Return the address of the database with its owner's rights, the foreign one where configured."""
        return self.config.database.url or self.cluster().url()

    def role_url(self, service: str) -> str:
        """Return the address by which ``service`` reaches the database: as its own role, which sees its own schema
        only.
        """
        schema = credentials.schema_of(service)
        parts = urlsplit(self.database_url)
        place = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
        password = quote(self.secrets.role_passwords[schema], safe="")
        return urlunsplit(parts._replace(netloc=f"guanxin_{schema}:{password}@{place}"))

    def address(self, service: str) -> str:
        """Return the HTTP address of the first worker of ``service``."""
        return f"http://127.0.0.1:{self.service_ports(service, 1)['http']}"

    def service_ports(self, service: str, number: int) -> dict[str, int]:
        """Return the ports of worker ``number`` (from 1) of ``service``."""
        row = _SERVICES[service]
        usual = {"http": row.port, **row.extra_ports}
        if number > 1:
            first = USUAL_EXTRA + 100 * SERVICES.index(service) + len(usual) * (number - 2)
            usual = {name: first + offset for offset, name in enumerate(usual)}
        return self.ports(f"{service}-{number}", usual)

    # -- engines ---------------------------------------------------------------------------------------------------

    def cluster(self) -> postgres.PostgresNode:
        """Return the embedded database."""
        port = self.ports("postgres", {"postgres": USUAL_POSTGRES})["postgres"]
        return postgres.PostgresNode(self.local / "data" / "postgres", port, self.secrets.database_password)

    def broker(self) -> kafka.KafkaNode:
        """Return the embedded broker; the jars must have been obtained."""
        assert self.jars is not None
        chosen = self.ports("kafka", {"kafka": USUAL_KAFKA, "controller": USUAL_CONTROLLER})
        return kafka.KafkaNode(self.jars, self.local / "data" / "kafka", chosen["kafka"], chosen["controller"])

    def database_plan(self) -> Plan:
        """Return the database's row; it is prepared (and a dead predecessor reaped) before every start."""
        node = self.cluster()

        def launch() -> Launch:
            node.prepare()
            return Launch(node.command(), node.environment())

        chosen = self.ports("postgres", {})
        return Plan(
            "postgres", "database", "postgres", chosen, probe.of_database(node.port), launch,
            stop_signal=signal.SIGINT, stop_patience_s=30.0, death_signal=signal.SIGINT,
        )  # fmt: skip

    def broker_plan(self) -> Plan:
        """Return the broker's row."""
        node = self.broker()

        def launch() -> Launch:
            node.prepare()
            return Launch(node.command(), node.environment())

        chosen = self.ports("kafka", {})
        return Plan("kafka", "broker", "kafka", chosen, probe.of_broker(node.port), launch, stop_patience_s=20.0)

    # -- simulators and services -----------------------------------------------------------------------------------

    def simulator_plan(self) -> Plan:
        """Return the row of the simulated carriers: all of them are one process."""
        kinds = self.config.stack.simulators
        name = carriers.component(kinds)
        chosen = self.ports(name, carriers.usual_ports(kinds))
        file = self.local / f"{name}-gateways.json"  # a file, because arguments are visible to everyone
        agreed = self.config.stack.simulator_link
        gateways = carriers.gateways(
            kinds, chosen, self._calls(), self.secrets.carrier_password, agreed.sessions, agreed.accounts
        )
        credentials.write_private(file, gateways)
        command = [
            sys.executable, "-m", "sim.carrier", "--gateways", str(file), "--http-port", str(chosen["http"]),
        ]  # fmt: skip
        return Plan(
            name, "simulator", name, chosen, probe.of_service(chosen["http"]), self._launcher(command, {}),
            stop_patience_s=5.0,
        )  # fmt: skip

    def _calls(self) -> dict[str, int]:
        usual = carriers.usual_calls(self.config.stack.simulators)
        return self.ports(carriers.CALLS, usual) if usual else {}

    def service_plan(self, service: str, number: int) -> Plan:
        """Return the row of worker ``number`` (from 1) of ``service``."""
        row = _SERVICES[service]
        name = f"{service}-{number}"
        chosen = self.service_ports(service, number)

        def launch() -> Launch:
            # Made at every start, for what it says about others may have changed.
            own = {f"GUANXIN_{kind.upper()}_PORT": str(port) for kind, port in chosen.items()}
            settings = {**row.environment, **self.service_environment(service, name), **own}
            return self._launcher([sys.executable, "-m", row.module], settings)()

        # Its own grace is ten seconds a phase: intake, drain, close.
        return Plan(
            name, "service", service, chosen, probe.of_service(chosen["http"]), launch, stop_patience_s=30.0
        )  # fmt: skip

    def service_environment(self, service: str, instance: str) -> dict[str, str]:
        """Return the settings of a process of ``service``."""
        secrets_file = self.local / "run" / f"secrets-{service}.json"
        credentials.write_private(secrets_file, self.secrets.of_service(service))
        return {
            **self._common_environment(service, instance),
            "GUANXIN_DATABASE_URL": self.role_url(service),
            "GUANXIN_SECRETS_FILE": str(secrets_file),
        }

    def _common_environment(self, service: str, instance: str) -> dict[str, str]:
        state = self.local / "state" / instance
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        return {
            "GUANXIN_SERVICE": service,
            "GUANXIN_INSTANCE": instance,
            "GUANXIN_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "GUANXIN_STATE_DIR": str(state),
            "GUANXIN_TRACE_FILE": str(self.local / "traces" / f"{instance}.jsonl"),
            "GUANXIN_LINKS_FILE": str(self.local / "links.json"),
            "GUANXIN_ASSETS_DIR": str(paths.assets_dir()),
            "GUANXIN_LOCAL_DIR": str(self.local),
            **{f"GUANXIN_{other.upper().replace('-', '_')}_URL": self.address(other) for other in _SERVICES},
            **self.config.stack.environment,
        }

    def write_links(self) -> None:
        """Write the links dispatch is to keep: the configured ones, else one to each simulator."""
        links = [link.model_dump() for link in self.config.links]
        kinds = self.config.stack.simulators
        if not links and kinds:
            chosen = self.ports(carriers.component(kinds), carriers.usual_ports(kinds))
            link = self.config.stack.simulator_link
            agreed = link.model_dump(exclude={"accounts"})
            links = carriers.links(kinds, chosen, self._calls(), self.secrets.carrier_password, agreed, link.accounts)
        credentials.write_private(self.local / "links.json", links)

    def one_off(self, name: str, module: str, *arguments: str) -> Launch:
        """Return a command that runs once and ends (topics, migrations, seed), with the rights of the database's
        owner.
        """
        settings = {
            **self._common_environment(name, name),
            "GUANXIN_DATABASE_URL": self.database_url,
            "GUANXIN_SECRETS_FILE": str(self.local / "secrets.json"),
        }
        return self._launcher([sys.executable, "-m", module, *arguments], settings)()

    def _launcher(self, command: list[str], settings: dict[str, str]) -> Callable[[], Launch]:
        def launch() -> Launch:
            return Launch(command, {**_inherited(), **settings})

        return launch


def _inherited() -> dict[str, str]:
    # A service must not be steered by what happens to be in the operator's shell; the import path is part of the
    # program.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GUANXIN_")}
    kept["PYTHONPATH"] = os.pathsep.join(str(root) for root in paths.import_roots())
    kept["PYTHONUNBUFFERED"] = "1"
    return kept
