"""Settings of the services of one machine, given as they are in containers."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import psutil
from msgspec import Meta

from cli.product.directory import DataDirectory, Run
from cli.product.ports import Ports
from mesh.auth.keys import JWKS_NAME
from mesh.config import SECRET

HOST = "127.0.0.1"
SERVICES = ("ingest", "detector", "explainer", "incidents", "notifier", "topology", "gateway")
AGENT = "agent"
"""Reads this machine; it has no key and no store, but a token that lets it write samples."""
AGENT_INTERVAL_S = 5
"""Between two readings of this machine; agents elsewhere read every 15 seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The user's own servers where they are set; the embedded ones otherwise."""

    postgres_dsn: Annotated[str, Meta(description="Your PostgreSQL", extra=SECRET)] = ""
    redis_url: Annotated[str, Meta(description="Your Redis", extra=SECRET)] = ""


def addresses(ports: Ports) -> Run:
    """Where the services will be found while this process runs."""
    own = psutil.Process()
    return Run(
        pid=own.pid,
        started_at_s=own.create_time(),
        gateway_url=f"http://{HOST}:{ports.gateway}",
        ingest_target=f"{HOST}:{ports.ingest}",
        detector_target=f"{HOST}:{ports.detector}",
        explainer_target=f"{HOST}:{ports.explainer}",
        incidents_target=f"{HOST}:{ports.incidents}",
        notifier_target=f"{HOST}:{ports.notifier}",
        topology_target=f"{HOST}:{ports.topology}",
    )


def service_environment(
    directory: DataDirectory, ports: Ports, run: Run, stores: Stores
) -> dict[str, str]:
    """One environment for all services: what differs carries the name of its service."""
    return {
        "SENSUS_REDIS_URL": stores.redis_url,
        "SENSUS_LISTEN_HOST": HOST,
        "SENSUS_INGEST_TARGET": run.ingest_target,
        "SENSUS_DETECTOR_TARGET": run.detector_target,
        "SENSUS_EXPLAINER_TARGET": run.explainer_target,
        "SENSUS_INCIDENTS_TARGET": run.incidents_target,
        "SENSUS_NOTIFIER_TARGET": run.notifier_target,
        "SENSUS_TOPOLOGY_TARGET": run.topology_target,
        "SENSUS_INGEST_GRPC_PORT": str(ports.ingest),
        "SENSUS_DETECTOR_GRPC_PORT": str(ports.detector),
        "SENSUS_EXPLAINER_GRPC_PORT": str(ports.explainer),
        "SENSUS_INCIDENTS_GRPC_PORT": str(ports.incidents),
        "SENSUS_NOTIFIER_GRPC_PORT": str(ports.notifier),
        "SENSUS_TOPOLOGY_GRPC_PORT": str(ports.topology),
        "SENSUS_NOTIFIER_SECRET_DIRECTORIES": str(directory.secrets),
        "SENSUS_GATEWAY_HTTP_PORT": str(ports.gateway),
        "SENSUS_GATEWAY_GRPC_PORT": str(ports.gateway_grpc),
        "SENSUS_INGEST_OTLP_GRPC_PORT": str(ports.otlp_grpc),
        "SENSUS_GATEWAY_OTLP_HTTP_PORT": str(ports.otlp_http),
        "SENSUS_GATEWAY_TARGET": f"{HOST}:{ports.gateway_grpc}",
        "SENSUS_INGEST_METRICS_PORT": str(ports.metrics_ingest),
        "SENSUS_DETECTOR_METRICS_PORT": str(ports.metrics_detector),
        "SENSUS_EXPLAINER_METRICS_PORT": str(ports.metrics_explainer),
        "SENSUS_INCIDENTS_METRICS_PORT": str(ports.metrics_incidents),
        "SENSUS_NOTIFIER_METRICS_PORT": str(ports.metrics_notifier),
        "SENSUS_TOPOLOGY_METRICS_PORT": str(ports.metrics_topology),
        "SENSUS_AUTH_JWKS_FILE": str(directory.keys / JWKS_NAME),
        **{
            f"SENSUS_{name.upper()}_AUTH_KEY_FILE": str(directory.keys / f"{name}.pem")
            for name in SERVICES
        },
    }


def agent_environment(directory: DataDirectory, ports: Ports, run: Run) -> dict[str, str]:
    """Settings of the agent of this machine; anything else by SENSUS_AGENT_* as ever.

    It reads more often than agents of a fleet: who starts a product looks at it at once, and what
    happens in its first minute is explained by what came before.
    """
    own = {"SENSUS_AGENT_INTERVAL_S", "SENSUS_AGENT_CONFIG_FILE"} & os.environ.keys()
    return {
        **({} if own else {"SENSUS_AGENT_INTERVAL_S": str(AGENT_INTERVAL_S)}),
        "SENSUS_AGENT_INGEST_TARGET": run.ingest_target,
        "SENSUS_AGENT_TOKEN_FILE": str(agent_token_file(directory)),
        "SENSUS_AGENT_SPOOL_DIRECTORY": str(directory.agent),
        "SENSUS_AGENT_LISTEN_HOST": HOST,
        "SENSUS_AGENT_METRICS_PORT": str(ports.metrics_agent),
    }


def agent_token_file(directory: DataDirectory) -> Path:
    """Where the agent finds its token."""
    return directory.keys / "agent.token"
