"""A caller whose standing has changed is out everywhere soon, streams included."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import httpx
import pytest

from cli.product.probes import grpc_probe
from mesh.auth import TokenMinter
from mesh.clients import closing, open_channel
from mesh.errors import SensusError, Unavailable, translated
from sensus.detector.v1 import detector_service_pb2 as detector_pb2
from sensus.detector.v1 import detector_service_pb2_grpc as detector_grpc
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb2
from sensus.ingest.v1 import ingest_service_pb2_grpc as ingest_grpc
from tests.product import DETECTOR, INGEST, Door, time_series

PASSWORD = "a long enough password"
LONGEST_WAIT_S = 120.0
"""Against hanging, whatever else this machine does.

That five seconds suffice is held on clocks moved by hand: `tests/gateway/test_standing_delay.py`
has the time until the gateway says so, `tests/mesh/test_standing.py` what a service does at once.
"""


class Person:
    """A user who has logged in, with REST and gRPC in the same name."""

    def __init__(self, door: Door, name: str, token: str, http: httpx.AsyncClient) -> None:
        self.door, self.name, self.token, self.http = door, name, token, http

    @asynccontextmanager
    async def channel(self, service: str, token: str = "") -> AsyncIterator[grpc.aio.Channel]:
        """A channel to a service in the person's name."""
        run = self.door.product.run
        target = {INGEST: run.ingest_target, DETECTOR: run.detector_target}[service]
        given = token or self.token
        async with open_channel(
            target, service=service, tokens=lambda: given, caller="test", default_timeout_s=120
        ) as channel:
            yield channel

    async def write(self) -> None:
        """Writes one sample by gRPC."""
        series = time_series({"__name__": f"by_{self.name}"}, [(time.time_ns() // 10**6, 1.0)])
        batch = ingest_pb2.SampleBatch(sequence=time.time_ns(), series=[series])
        request = ingest_pb2.WriteBatchRequest(producer_id=self.name, batch=batch)
        async with self.channel(INGEST) as channel:
            with translated():
                await ingest_grpc.IngestServiceStub(channel).WriteBatch(request)

    async def activate(self) -> None:
        """Asks for what only admins may do."""
        request = detector_pb2.ActivateModelVersionRequest(version=10**6)
        async with self.channel(DETECTOR) as channel:
            with translated():
                await detector_grpc.DetectorServiceStub(channel).ActivateModelVersion(request)


_made = 0


async def person(door: Door, role: str = "operator") -> Person:
    """A new user who has logged in."""
    global _made
    _made += 1
    name = f"{role}-{_made}"
    body = {"user_name": name, "password": PASSWORD, "role": role}
    assert (await door.http.post("/api/v1/users", json=body)).status_code == 201
    token = await log_in(door, name)
    return Person(door, name, token, door.http)


async def log_in(door: Door, name: str, password: str = PASSWORD) -> str:
    """An access token."""
    async with httpx.AsyncClient(
        base_url=str(door.http.base_url), trust_env=False, timeout=60
    ) as http:
        answer = await http.post("/api/v1/auth/token", auth=(name, password))
    token: str = answer.json()["access_token"]
    return token


async def refused_for(call: Callable[[], Awaitable[None]], reason: str) -> None:
    """Repeats `call` until it is refused for this reason; fails when that never happens."""
    began_s = time.monotonic()
    seen = "nothing"
    while time.monotonic() - began_s < LONGEST_WAIT_S:
        try:
            await call()
        except SensusError as error:
            seen = error.reason
            if seen == reason:
                return
        await asyncio.sleep(0.1)
    pytest.fail(f"still let in after {LONGEST_WAIT_S} s, last refused for {seen}")


@asynccontextmanager
async def without_gateway(door: Door) -> AsyncIterator[None]:
    """Stops the gateway, and each that the supervisor starts in its place."""
    stopped: set[int] = set()

    async def stop() -> None:
        while True:
            process_id = door.process_id("gateway")
            if process_id and process_id not in stopped:
                os.kill(process_id, signal.SIGSTOP)
                stopped.add(process_id)
            await asyncio.sleep(0.02)

    stopping = asyncio.create_task(stop())
    try:
        yield
    finally:
        stopping.cancel()
        for process_id in stopped:
            with suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGCONT)


async def disable(door: Door, who: Person) -> str:
    await door.http.patch(f"/api/v1/users/{who.name}", json={"disabled": True})
    return "ACCOUNT_DISABLED"


async def disable_by_hand(door: Door, who: Person) -> str:
    connection = await asyncpg.connect(door.product.run.postgres_dsn)
    query = "UPDATE gateway.account SET disabled = true WHERE user_name = $1"
    await connection.execute(query, who.name)
    await connection.close()
    return "ACCOUNT_DISABLED"


async def delete(door: Door, who: Person) -> str:
    await door.http.delete(f"/api/v1/users/{who.name}")
    return "ACCOUNT_DELETED"


async def change_password(door: Door, who: Person) -> str:
    await door.http.patch(f"/api/v1/users/{who.name}", json={"password": "an even longer one"})
    return "TOKEN_SUPERSEDED"


async def log_out(door: Door, who: Person) -> str:
    headers = {"Authorization": f"Bearer {who.token}"}
    async with httpx.AsyncClient(
        base_url=str(door.http.base_url), trust_env=False, timeout=60
    ) as http:
        assert (await http.post("/api/v1/auth/logout", headers=headers)).status_code == 204
    return "SESSION_ENDED"


CHANGES = [disable, disable_by_hand, delete, change_password, log_out]


@pytest.mark.parametrize("change", CHANGES)
async def test_a_caller_is_out_of_grpc(door: Door, change: Any) -> None:
    who = await person(door)
    await who.write()
    await refused_for(who.write, await change(door, who))


@pytest.mark.parametrize("change", CHANGES)
async def test_open_streams_end(door: Door, change: Any) -> None:
    who = await person(door)
    async with who.channel(INGEST) as to_ingest, who.channel(DETECTOR) as to_detector:
        write = ingest_grpc.IngestServiceStub(to_ingest).WriteSamples()
        opening = ingest_pb2.WriteOpen(producer_id=f"stream-{who.name}")
        await write.write(ingest_pb2.WriteSamplesRequest(open=opening))
        await write.read()
        watch = detector_grpc.DetectorServiceStub(to_detector).WatchAnomalies(
            detector_pb2.WatchAnomaliesRequest()
        )
        sse = await _sse(door, who.token)
        reason = await change(door, who)
        for call in (write, watch):
            assert await _end_of(call) == reason
        assert reason in await asyncio.wait_for(sse, LONGEST_WAIT_S)


async def test_a_demotion_takes_scopes_and_ends_streams(door: Door) -> None:
    who = await person(door, "admin")
    with pytest.raises(SensusError, match="no model version"):
        await who.activate()
    sse = await _sse(door, who.token)
    await door.http.patch(f"/api/v1/users/{who.name}", json={"role": "viewer"})
    await refused_for(who.activate, "SCOPE_MISSING")
    await refused_for(who.write, "SCOPE_MISSING")
    assert "STANDING_CHANGED" in await asyncio.wait_for(sse, LONGEST_WAIT_S)
    who.token = await log_in(door, who.name)
    await refused_for(who.activate, "SCOPE_MISSING")


async def test_a_new_log_in_works_at_once(door: Door) -> None:
    who = await person(door)
    await change_password(door, who)
    await refused_for(who.write, "TOKEN_SUPERSEDED")
    who.token = await log_in(door, who.name, "an even longer one")
    await who.write()


async def test_without_the_gateway_people_are_refused_and_services_go_on(door: Door) -> None:
    who = await person(door)
    await who.write()
    async with without_gateway(door):
        await refused_for(who.write, "STANDING_UNKNOWN")
        async with asyncio.timeout(LONGEST_WAIT_S):
            while (await grpc_probe(door.product.run.ingest_target, "standing")).ready:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        token = _service_token(door)
        async with who.channel(INGEST, token) as channel:
            stub = ingest_grpc.IngestServiceStub(channel)
            async with closing(stub.QuerySamples(_everything())) as call:
                with translated():
                    await call.read()
    async with asyncio.timeout(LONGEST_WAIT_S):
        while not await _lets_write(who):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_health_names_the_feed(door: Door) -> None:
    async with asyncio.timeout(LONGEST_WAIT_S):
        while await _standing_in_health(door) != "up":  # noqa: ASYNC110
            await asyncio.sleep(0.2)


async def _standing_in_health(door: Door) -> str:
    report = (await door.http.get("/health")).json()
    status: str = report["components"]["standing"]["status"]
    return status


async def _sse(door: Door, token: str) -> "asyncio.Task[str]":
    """An open stream of events, read to its end."""
    opened = asyncio.Event()
    reading = asyncio.create_task(_sse_to_its_end(door, token, opened))
    await asyncio.wait_for(opened.wait(), LONGEST_WAIT_S)
    return reading


async def _sse_to_its_end(door: Door, token: str, opened: asyncio.Event) -> str:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx.AsyncClient(
            base_url=str(door.http.base_url), trust_env=False, timeout=LONGEST_WAIT_S
        ) as http,
        http.stream("GET", "/api/v1/anomalies:watch", headers=headers) as answer,
    ):
        assert answer.status_code == 200
        opened.set()
        return "".join([chunk async for chunk in answer.aiter_text()])


async def _lets_write(who: Person) -> bool:
    try:
        await who.write()
    except Unavailable:
        return False
    return True


async def _end_of(call: Any) -> str:
    with pytest.raises(SensusError) as ended:
        await asyncio.wait_for(_read_to_its_end(call), LONGEST_WAIT_S)
    assert ended.value.code is grpc.StatusCode.UNAUTHENTICATED
    return ended.value.reason


async def _read_to_its_end(call: Any) -> None:
    with translated():
        while await call.read() is not grpc.aio.EOF:
            pass


def _service_token(door: Door) -> str:
    key_file: Path = door.product.directory.keys / "detector.pem"
    return TokenMinter.from_file(key_file, "detector").service_token()


def _everything() -> ingest_pb2.QuerySamplesRequest:
    request = ingest_pb2.QuerySamplesRequest(selector='{__name__=~".+"}')
    request.start_time.GetCurrentTime()
    request.start_time.seconds -= 60
    request.end_time.GetCurrentTime()
    return request
