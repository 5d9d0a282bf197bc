"""kill -9 of the agent and of ingest, again and again: every reading is stored, and once."""

import asyncio
import json
import os
import random
import socket
import sys
import time
from collections import Counter
from pathlib import Path

import grpc
import pytest

from mesh.auth import TokenMinter, generate_key_files
from mesh.interceptors import client_interceptors
from mesh.wire import OWN_CONNECTIONS
from sensus.ingest.v1 import ingest_service_pb2_grpc as pb_grpc
from tests.ingest.harness import SCOPES, query
from tests.product import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

REPOSITORY = Path(__file__).resolve().parents[2]
KILLS = 20


class Victim:
    """A process that is started again as soon as it is killed."""

    def __init__(self, module: str, log: Path, environment: dict[str, str]) -> None:
        self._command = (sys.executable, "-m", module)
        self._log = log
        self._environment = {**os.environ, **environment}

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, cwd=REPOSITORY, env=self._environment, stderr=log
            )

    async def kill(self) -> None:
        self._process.kill()
        await self._process.wait()


async def test_no_reading_is_lost_or_doubled(
    migrated_dsn: str, redis_url: str, tmp_path: Path
) -> None:
    keys, token = tmp_path / "keys", tmp_path / "token"
    generate_key_files(keys, ["ingest", "gateway"])
    minter = TokenMinter.from_file(keys / "gateway.pem", "gateway")
    token.write_text(minter.mint("user:agent", ["write:samples"], 3600))
    with socket.create_server(("127.0.0.1", 0)) as free:
        target = f"127.0.0.1:{free.getsockname()[1]}"
    ingest = Victim(
        "services.ingest",
        tmp_path / "ingest.log",
        {
            "SENSUS_POSTGRES_DSN": migrated_dsn,
            "SENSUS_REDIS_URL": redis_url,
            "SENSUS_AUTH_JWKS_FILE": str(keys / "jwks.json"),
            "SENSUS_AUTH_KEY_FILE": str(keys / "ingest.pem"),
            "SENSUS_GATEWAY_TARGET": "off",
            "SENSUS_GRPC_PORT": target.rpartition(":")[2],
            "SENSUS_METRICS_PORT": "0",
        },
    )
    agent = Victim(
        "services.agent",
        tmp_path / "agent.log",
        {
            "SENSUS_AGENT_INGEST_TARGET": target,
            "SENSUS_AGENT_TOKEN_FILE": str(token),
            "SENSUS_AGENT_SPOOL_DIRECTORY": str(tmp_path / "spool"),
            "SENSUS_AGENT_METRICS_PORT": "0",
            "SENSUS_AGENT_INTERVAL_S": "1",
            "SENSUS_AGENT_LOG_LEVEL": "DEBUG",
        },
    )
    began_ms = time.time_ns() // 1_000_000
    for victim in (ingest, agent):
        await victim.start()
    try:
        for victim in (ingest, agent) * (KILLS // 2):
            await asyncio.sleep(random.uniform(0.5, 4.5))
            await victim.kill()
            await victim.start()
        tokens = client_interceptors(
            tokens=lambda: minter.mint("user:test", SCOPES, 3600), default_timeout_s=120
        )
        async with grpc.aio.insecure_channel(
            target, OWN_CONNECTIONS, interceptors=tokens
        ) as channel:
            stub = pb_grpc.IngestServiceStub(channel)

            async def stored() -> Counter[int]:
                found = await query(stub, "node_load1", began_ms - 1000, began_ms + 3_600_000)
                return Counter(at for points in found.values() for at, _ in points)

            published = kept(tmp_path / "agent.log")
            assert len(published) > KILLS // 2

            async def all_stored() -> Counter[int] | None:
                now = await stored()
                return now if published <= now.keys() else None

            times = await eventually(all_stored, what="every reading")
    finally:
        for victim in (agent, ingest):
            await victim.kill()
    assert set(times.values()) == {1}
    sys.stdout.write(f"{KILLS} kills, {len(published)} readings: lost 0, doubled 0\n")


def kept(log: Path) -> set[int]:
    """The times of the readings that the agent has put into its spool."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return {line["timestamp_ms"] for line in lines if line["message"] == "published"}
