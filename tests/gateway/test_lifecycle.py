"""The process: starts, serves, drains."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from mesh.drain import Drain
from mesh.serving import BindError
from sensus.ingest.v1 import ingest_service_pb2 as ingest
from services.gateway.config import Config
from services.gateway.http.admission import Admission
from services.gateway.http.server import HttpServer
from tests.gateway.conftest import ADMIN_PASSWORD, REPOSITORY, Running
from tests.gateway.scripted import Script
from tests.ports import free_port


def environment(config: Config, port: int) -> dict[str, str]:
    """The environment of a gateway process."""
    settings = {
        "SENSUS_POSTGRES_DSN": config.postgres_dsn,
        "SENSUS_REDIS_URL": config.redis_url,
        "SENSUS_GATEWAY_HTTP_PORT": str(port),
        "SENSUS_GATEWAY_GRPC_PORT": "0",
        "SENSUS_AUTH_JWKS_FILE": str(config.auth_jwks_file),
        "SENSUS_GATEWAY_AUTH_KEY_FILE": str(config.auth_key_file),
        "SENSUS_INGEST_TARGET": config.ingest_target,
        "SENSUS_DETECTOR_TARGET": config.detector_target,
        "SENSUS_EXPLAINER_TARGET": config.explainer_target,
        "SENSUS_BOOTSTRAP_ADMIN_PASSWORD": ADMIN_PASSWORD,
        "SENSUS_SHUTDOWN_NOTICE_S": "3",
    }
    return {key: value for key, value in os.environ.items() if "SENSUS" not in key} | settings


@asynccontextmanager
async def process(settings: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m services.gateway`, killed at the end if it still runs."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.gateway",
        cwd=REPOSITORY,
        env=settings,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def ready(http: httpx.AsyncClient) -> None:
    """Returns when /readyz says so."""
    async with asyncio.timeout(120):
        while True:
            try:
                if (await http.get("/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)


async def leaving(http: httpx.AsyncClient) -> None:
    """Returns when /readyz sends others away."""
    async with asyncio.timeout(60):
        while (await http.get("/readyz")).status_code != 503:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_the_process_serves_and_drains_on_sigterm(config: Config, script: Script) -> None:
    port = free_port()
    async with (
        process(environment(config, port)) as child,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http,
    ):
        await ready(http)
        tokens = await http.post("/api/v1/auth/token", auth=("admin", ADMIN_PASSWORD))
        assert tokens.status_code == 200
        child.send_signal(signal.SIGTERM)
        await leaving(http)
        assert (await http.get("/livez")).status_code == 200
        assert child.stderr is not None
        log = (await asyncio.wait_for(child.stderr.read(), 120)).decode()
        assert await child.wait() == 0
    assert ADMIN_PASSWORD not in log
    assert '"bootstrap_admin_password": "***"' in log
    assert "Traceback" not in log


async def test_a_missing_variable_is_named(config: Config) -> None:
    settings = environment(config, 0)
    del settings["SENSUS_POSTGRES_DSN"]
    async with process(settings) as child:
        assert child.stderr is not None
        errors = (await asyncio.wait_for(child.stderr.read(), 120)).decode()
        assert await child.wait() == 2
    assert errors.startswith("SENSUS_POSTGRES_DSN is not set")


async def test_a_running_request_is_finished_before_the_stop(
    fresh: Running, script: Script
) -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: ingest.ListAlertsRequest) -> ingest.ListAlertsResponse:
        arrived.set()
        await go_on.wait()
        return ingest.ListAlertsResponse(next_page_token="done")

    script.answers["ListAlerts"] = slow
    asking = asyncio.create_task(fresh.http.get("/api/v1/alerts", headers=fresh.headers()))
    await arrived.wait()
    stopping = asyncio.create_task(fresh.server.stop(0, 5))
    await asyncio.sleep(0.3)
    assert not stopping.done()
    go_on.set()
    assert (await asking).json()["nextPageToken"] == "done"
    await asyncio.wait_for(stopping, 25)


async def test_answers_do_not_wait_for_acknowledgements(running: Running) -> None:
    """Without TCP_NODELAY each answer of two packets takes 40 ms more."""
    await running.http.get("/livez")
    connections = running.server._uvicorn.server_state.connections
    sockets = [each.transport.get_extra_info("socket") for each in connections]
    assert sockets
    assert all(each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for each in sockets)


async def test_a_taken_port_is_told(running: Running) -> None:
    port = int(running.url.rpartition(":")[2])
    server = HttpServer(
        running.gateway.app,
        host="127.0.0.1",
        port=port,
        admission=Admission(most=10, most_per_address=10, proxies=()),
        drain=Drain(),
        leave=lambda: None,
    )
    with pytest.raises(BindError, match=f"127.0.0.1:{port}"):
        await server.start()
    await server.stop(0, 0)
