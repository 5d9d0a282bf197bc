"""Each service broken from outside and inside: it serves again in ten seconds, or says why not.

A table of the times is printed at the end of the run; `-s` shows it.
"""

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import grpc
import httpx
import psutil
import pytest

from cli.processes import supervisor
from cli.processes.child import State
from tests.abuse.hostile_frames import CHECK
from tests.abuse.raw_http2 import call, send
from tests.product import UNLIMITED, Door, eventually, started

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

SERVICES = ("ingest", "detector", "explainer", "incidents", "notifier", "topology", "gateway")
BACK_WITHIN_S = 10.0 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
"""Ten seconds on a machine of its own; longer by what others take of its processors."""
_ANY = "longest"
PLANTED = Path(__file__).with_name("planted")
REPOSITORY = PLANTED.parents[2]

INSIDE = {
    "cancel_accept_loop": "ended",
    "close_listeners": "its own port refused connections",
    # it is idle then, which the supervisor may find first
    "block_event_loop": "no answer on its own port|killing process",
    # on a busy machine the supervisor may be the first
    "spin_event_loop": "no answer on its own port|no answer for .* busy; killing process",
    "end_worker": "died",
    "end_probing": "died",
    "exhaust_descriptors": "no answer on its own port|no answer for|died",
}
"""What ends the process, and the words with which its log or the supervisor says so."""

SURVIVED = ("raise_in_callback", "end_thread", "exhaust_memory")
"""What a process must live through, or come back from."""


@pytest.fixture(scope="module")
def hurt_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Says what SIGUSR1 does."""
    return tmp_path_factory.mktemp("hurt") / "hurt"


@pytest.fixture(scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory, hurt_file: Path) -> AsyncIterator[Door]:
    """A product that can be hurt, and whose supervisor takes each fault as the first."""
    patch = pytest.MonkeyPatch()
    patch.setattr(supervisor, "_HEALTHY_AFTER_S", 0.0)
    paths = os.pathsep.join(map(str, (PLANTED, REPOSITORY)))
    settings = UNLIMITED | {"PYTHONPATH": paths, "SENSUS_TEST_HURT": str(hurt_file)}
    data_dir: Path = tmp_path_factory.mktemp("drill") / "data"
    async with started(data_dir, settings=settings) as door:
        yield door
    patch.undo()


@pytest.fixture(scope="module")
def times() -> Iterator[dict[tuple[str, str], float]]:
    """Seconds to recovery by fault and service, printed at the end."""
    measured: dict[tuple[str, str], float] = {}
    yield measured
    print(f"\n{table(measured)}")  # noqa: T201


def table(seconds: Mapping[tuple[str, str], float]) -> str:
    """A line per fault, a column per service, and the longest of each and of all."""
    faults = list(dict.fromkeys(fault for fault, _ in seconds))

    def longest(fault: str, service: str) -> str:
        found = [
            spent
            for (each, other), spent in seconds.items()
            if fault in (each, _ANY) and service in (other, _ANY)
        ]
        return f"{max(found):9.1f}" if found else f"{'-':>9}"

    columns = [*SERVICES, _ANY]
    head = f"{'seconds to serve again':23}" + "".join(f"{name:>10}" for name in columns)
    rows = [
        f"{fault:23}" + "".join(f" {longest(fault, name)}" for name in columns)
        for fault in (*faults, _ANY)
    ]
    return "\n".join([head, *rows])


async def serving(door: Door, service: str) -> bool:
    """Whether a stranger is answered and told to come."""
    run = door.product.run
    try:
        if service == "gateway":
            async with httpx.AsyncClient(trust_env=False, timeout=1) as client:
                return (await client.get(f"{run.gateway_url}/readyz")).status_code == 200
        async with grpc.aio.insecure_channel(getattr(run, f"{service}_target")) as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            return bool(await check(b"\x0a\x09readiness", timeout=1) == b"\x08\x01")
    except (grpc.aio.AioRpcError, httpx.HTTPError):
        return False


async def back(
    door: Door, service: str, *, after: int | None, within_s: float = 6 * BACK_WITHIN_S
) -> float:
    """Seconds until `service` serves, in another process than `after` if one is given."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < within_s:
        if door.process_id(service) != after and await serving(door, service):
            return time.monotonic() - began_s
        await asyncio.sleep(0.1)
    raise AssertionError(f"{service} does not serve after {within_s} s: {door.events[-5:]}")


def hurt(door: Door, service: str, hurt_file: Path, fault: str) -> None:
    """Breaks the process from inside."""
    hurt_file.write_text(fault)
    os.kill(door.process_id(service), signal.SIGUSR1)


def log_of(door: Door, service: str) -> str:
    """Everything it has logged."""
    return (door.product.directory.logs / f"{service}.log").read_text()


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("fault", INSIDE)
async def test_process_that_cannot_serve_ends_says_why_and_comes_back(
    door: Door,
    service: str,
    fault: str,
    hurt_file: Path,
    times: dict[tuple[str, str], float],
) -> None:
    await back(door, service, after=None)
    before, logged, seen = door.process_id(service), len(log_of(door, service)), len(door.events)
    hurt(door, service, hurt_file, fault)
    times[fault, service] = await back(door, service, after=before)
    said = [log_of(door, service)[logged:], *(event.detail for event in door.events[seen:])]
    assert re.search(INSIDE[fault], "\n".join(said))
    assert times[fault, service] < BACK_WITHIN_S


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("fault", SURVIVED)
async def test_process_goes_on_or_comes_back(
    door: Door,
    service: str,
    fault: str,
    hurt_file: Path,
    times: dict[tuple[str, str], float],
) -> None:
    await back(door, service, after=None)
    logged = len(log_of(door, service))
    hurt(door, service, hurt_file, fault)
    await asyncio.sleep(1)
    times[fault, service] = await back(door, service, after=None)
    assert "unhandled error" in log_of(door, service)[logged:]
    assert times[fault, service] < BACK_WITHIN_S


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT, signal.SIGTERM])
async def test_process_that_is_ended_from_outside_comes_back(
    door: Door, service: str, number: signal.Signals, times: dict[tuple[str, str], float]
) -> None:
    await back(door, service, after=None)
    before = door.process_id(service)
    os.kill(before, number)
    times[number.name, service] = await back(door, service, after=before)
    assert times[number.name, service] < BACK_WITHIN_S


@pytest.mark.parametrize("service", SERVICES)
async def test_process_that_was_stopped_is_replaced(
    door: Door, service: str, times: dict[tuple[str, str], float]
) -> None:
    await back(door, service, after=None)
    before, seen = door.process_id(service), len(door.events)
    os.kill(before, signal.SIGSTOP)
    times["SIGSTOP", service] = await back(door, service, after=before)
    assert (service, State.SILENT) in [(event.name, event.state) for event in door.events[seen:]]
    assert times["SIGSTOP", service] < BACK_WITHIN_S


@pytest.mark.parametrize("service", ["ingest", "detector", "explainer"])
async def test_frame_that_used_to_end_the_server_does_not(door: Door, service: str) -> None:
    before = door.process_id(service)
    port = int(getattr(door.product.run, f"{service}_target").rpartition(":")[2])
    for _ in range(50):
        await send(port, call(b"/\xff"))
    assert b"grpc-status\x010" in await send(port, call(CHECK), answer_s=1)
    assert door.process_id(service) == before


async def test_frozen_database_is_named_and_restarts_nobody(
    door: Door, times: dict[tuple[str, str], float]
) -> None:
    for service in SERVICES:
        await back(door, service, after=None)
    before = {service: door.process_id(service) for service in SERVICES}
    server = psutil.Process(door.process_id("postgres"))
    for process in (server, *server.children(recursive=True)):
        process.suspend()
    await eventually(lambda: database_is_down(door), what="the name of the database in /health")
    found_s = time.monotonic()
    while door.process_id("postgres") in (server.pid, None):
        assert time.monotonic() - found_s < 6 * BACK_WITHIN_S, door.events[-5:]
        await asyncio.sleep(0.1)
    replaced_s = time.monotonic()
    for service in SERVICES:
        await back(door, service, after=None)
        times["database replaced", service] = time.monotonic() - replaced_s
    assert {service: door.process_id(service) for service in SERVICES} == before
    assert times["database replaced", SERVICES[-1]] < BACK_WITHIN_S


async def database_is_down(door: Door) -> bool | None:
    """Whether /health says so; None while it does not."""
    said = (await door.http.get("/health")).json()
    return said["components"]["database"]["status"] == "down" or None


async def test_killed_redis_comes_back_and_restarts_nobody(
    door: Door, times: dict[tuple[str, str], float]
) -> None:
    for service in SERVICES:
        await back(door, service, after=None)
    before = {service: door.process_id(service) for service in SERVICES}
    redis = door.process_id("redis")
    os.kill(redis, signal.SIGKILL)
    began_s = time.monotonic()
    while door.process_id("redis") in (redis, None):
        assert time.monotonic() - began_s < BACK_WITHIN_S
        await asyncio.sleep(0.1)
    for service in SERVICES:
        await back(door, service, after=None)
        times["redis killed", service] = time.monotonic() - began_s
        assert times["redis killed", service] < BACK_WITHIN_S
    assert {service: door.process_id(service) for service in SERVICES} == before
