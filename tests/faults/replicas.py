"""Two of each service on one machine, behind the balancing that clients do in a cluster."""

import asyncio
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import httpx
import pytest

from cli.processes.process import Program
from cli.product.environment import HOST, SERVICES
from cli.product.probes import grpc_probe, http_probe
from cli.product.service import Service
from mesh.auth import generate_key_files
from mesh.auth.keys import JWKS_NAME
from mesh.config import child_environment
from tests.ports import free_ports

REPLICAS = 2


class Replicas:
    """The processes, and where they listen."""

    def __init__(
        self,
        directory: Path,
        stores: Mapping[str, str],
        settings: Mapping[str, str],
        second: Mapping[str, str] | None = None,
    ) -> None:
        """Logs and keys go into `directory`; `stores` says where PostgreSQL and Redis are.

        The second of each service has the environment `second` besides.
        """
        self._besides: tuple[Mapping[str, str], ...] = ({}, second or {})
        self.dsn = stores["SENSUS_POSTGRES_DSN"]
        self.keys = directory / "keys"
        generate_key_files(self.keys, SERVICES)
        settled = [free_ports() for _ in range(REPLICAS)]
        self._ports = {name: [getattr(each, name) for each in settled] for name in SERVICES}
        self._inner = [each.gateway_grpc for each in settled]
        self._metrics = [each.metrics_ingest for each in settled]
        common = {
            **stores,
            **settings,
            "SENSUS_LISTEN_HOST": HOST,
            "SENSUS_METRICS_PORT": "0",
            "SENSUS_AUTH_JWKS_FILE": str(self.keys / JWKS_NAME),
            "SENSUS_GATEWAY_TARGET": _balanced(self._inner),
            **{
                f"SENSUS_{name.upper()}_TARGET": self.target(name)
                for name in SERVICES
                if name != "gateway"
            },
        }
        self._services = {
            name: [self._service(name, number, common, directory) for number in range(REPLICAS)]
            for name in SERVICES
        }

    @property
    def gateways(self) -> list[int]:
        """Ports of the gateways."""
        return self._ports["gateway"]

    def target(self, name: str) -> str:
        """All replicas of a service, as a gRPC client resolves a headless one."""
        return _balanced(self._ports[name])

    def _service(
        self, name: str, number: int, common: Mapping[str, str], directory: Path
    ) -> Service:
        port = self._ports[name][number]
        own = {"SENSUS_AUTH_KEY_FILE": str(self.keys / f"{name}.pem")}
        probe = partial(grpc_probe, f"{HOST}:{port}")
        if name == "gateway":
            own |= {"SENSUS_HTTP_PORT": str(port), "SENSUS_GRPC_PORT": str(self._inner[number])}
            own["SENSUS_OTLP_HTTP_PORT"] = "0"
            probe = partial(http_probe, f"http://{HOST}:{port}/readyz")
        else:
            own["SENSUS_GRPC_PORT"] = str(port)
        if name == "ingest":
            own["SENSUS_OTLP_GRPC_PORT"] = "0"
            own["SENSUS_METRICS_PORT"] = str(self._metrics[number])
        program = Program(
            command=(sys.executable, "-P", "-m", f"services.{name}"),
            log_file=directory / f"{name}-{number}.log",
            environment=child_environment({**common, **own, **self._besides[number]}),
        )
        return Service(f"{name}-{number}", program, probe)

    async def start(self) -> None:
        """Returns when all are ready."""
        every = [each for services in self._services.values() for each in services]
        async with asyncio.TaskGroup() as tasks:
            for service in every:
                tasks.create_task(service.start())

    async def kill_one(self, name: str) -> Service:
        """Kills one replica of a service, which is gone when this returns."""
        victim = random.choice(self._services[name])
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)
        await victim.wait()
        return victim

    def pids(self, name: str) -> list[int]:
        """The processes of a service."""
        return [each.pid for each in self._services[name] if each.pid is not None]

    async def stop(self) -> None:
        """Ends all."""
        for services in self._services.values():
            await asyncio.gather(*(each.stop() for each in services), return_exceptions=True)

    async def written(self) -> list[float]:
        """Samples that each ingest has acknowledged since it began."""
        found = []
        async with httpx.AsyncClient(trust_env=False) as client:
            for port in self._metrics:
                page = (await client.get(f"http://{HOST}:{port}/metrics")).text
                lines = [each for each in page.splitlines() if not each.startswith("#")]
                counts = dict(each.rsplit(" ", 1) for each in lines)
                found.append(float(counts["sensus_metrics_received_total"]))
        return found


class BalancedTransport(httpx.AsyncHTTPTransport):
    """Sends each request to the next of several servers of this machine."""

    def __init__(self, ports: list[int]) -> None:
        """The ports of all."""
        super().__init__()
        self._ports = itertools.cycle(ports)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Rewrites only where it goes."""
        request.url = request.url.copy_with(port=next(self._ports))
        return await super().handle_async_request(request)


def clock_offset(seconds: int, directory: Path) -> dict[str, str]:
    """Environment of a process whose clock is so far ahead, or behind; what passes is right.

    Skips the test where there is no C compiler.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("a clock that is off needs a C compiler")
    library = directory / "clock_offset.so"
    source = Path(__file__).with_name("clock_offset.c")
    command = [compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return {"LD_PRELOAD": str(library), "CLOCK_OFFSET_S": str(seconds)}


def _balanced(ports: list[int]) -> str:
    return "ipv4:" + ",".join(f"{HOST}:{port}" for port in ports)
