"""Real stores: one PostgreSQL and one Redis per session, a fresh database per test."""

import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import httpx
import hypothesis
import pytest
import redis.asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from xdist.remote import Producer

from cli.embedded.postgres import EmbeddedPostgres
from cli.embedded.redis import EmbeddedRedis
from mesh import telemetry
from tests.databases import database, execute, renamed
from tests.properties import examples
from tests.scheduling import NEXT_ITEM, Scheduling, longest_first

if TYPE_CHECKING:
    from tests.shared_product import SharedProduct

REPOSITORY = Path(__file__).resolve().parent.parent
hypothesis.settings.register_profile("tests", examples(100))
hypothesis.settings.load_profile("tests")
_ROOM_FOR_STORES = 8 * 2**30
_FAST = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB"}


_COMPILE = (
    """
from services.detector.detectors.settings import Settings
from services.detector.detectors.compilation import compile_kernels
compile_kernels(Settings())
from tests.detector.detectors.made import forest
forest()
""",
    """
from importlib import import_module
from services.ingest.write.compiled_loops import OF_BODIES, OF_CHUNKS
for module in (*OF_BODIES, *OF_CHUNKS, "services.topology.traces.kernels"):
    import_module(module)
""",
)


def pytest_configure() -> None:
    """Children are stopped by SIGINT, which a shell makes its background commands ignore.

    The rest saves a tenth of what asynchronous tests cost. A handler of our own keeps asyncio from
    setting one for each fixture and test, and from writing out all that the last one was given.
    Reading the authorities of the web takes 30 ms, and each client of HTTP reads them anew: one
    context per set of arguments is as good. Each request looks for sniffio five times, and what is
    not installed is searched on the disk.
    """
    signal.signal(signal.SIGINT, _interrupt)
    httpx._transports.default.create_ssl_context = cache(httpx.create_ssl_context)
    sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.default_int_handler(number, frame)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two workers a core: tests of servers wait more than they compute."""
    return 2 * (os.cpu_count() or 1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """Tests that share what they start run in one worker."""
    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest begin first."""
    longest_first(items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Lets fixtures know what comes next."""
    item.config.stash[NEXT_ITEM] = nextitem


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[None]:
    """Compiles kernels and grows a forest once for all workers, while these collect the tests."""
    if hasattr(session.config, "workerinput") or not session.config.getoption("numprocesses", 0):
        return (yield)
    compilers = [
        subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY) for code in _COMPILE
    ]
    assert [compiler.wait() for compiler in compilers] == [0] * len(compilers)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """Hardly anything that is imported and collected is garbage: a tenth of the time goes there."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """All that was imported and collected stays: the garbage collector need not walk it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def stores_directory() -> Iterator[Path]:
    """A directory for the stores that is removed with everything in it.

    In memory where there is room: a database is 300 files, and ext4 searches long for inodes that
    were not freed a moment ago.
    """
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > _ROOM_FOR_STORES
    with tempfile.TemporaryDirectory(
        prefix="sensus-test-", dir=memory if roomy else None
    ) as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
async def postgres(stores_directory: Path) -> AsyncIterator[EmbeddedPostgres]:
    """The session's PostgreSQL; tests that stop or kill a server start their own."""
    async with EmbeddedPostgres(stores_directory / "postgres", settings=_FAST) as server:
        yield server


@pytest.fixture(scope="session")
async def redis_server(stores_directory: Path) -> AsyncIterator[EmbeddedRedis]:
    """The session's Redis; tests that stop or kill a server start their own."""
    async with EmbeddedRedis(stores_directory / "redis") as server:
        yield server


@pytest.fixture
async def postgres_dsn(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """URL of an empty database that exists for one test."""
    async with database(postgres.dsn, template="template0") as dsn:
        yield dsn


@pytest.fixture
async def migrated_dsn(postgres: EmbeddedPostgres, migrated_template: str) -> AsyncIterator[str]:
    """URL of a database with every service's migrations applied, for one test."""
    async with database(postgres.dsn, template=migrated_template) as dsn:
        yield dsn


@pytest.fixture(scope="session")
async def migrated_template(postgres: EmbeddedPostgres) -> str:
    """Name of the database that `migrated_dsn` copies; nobody may connect to it."""
    from mesh.migrations import migrate

    name = "migrated_template"
    await execute(postgres.dsn, f"CREATE DATABASE {name}")
    directory = REPOSITORY / "migrations"
    services = sorted(path.name for path in directory.iterdir() if path.is_dir())
    await migrate(renamed(postgres.dsn, name), services, directory)
    return name


@pytest.fixture
async def redis_url(redis_server: EmbeddedRedis) -> str:
    """URL of the session's Redis, emptied for this test."""
    async with redis.asyncio.Redis.from_url(redis_server.url, protocol=3) as client:
        await client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def shared_product(tmp_path_factory: pytest.TempPathFactory) -> "SharedProduct":
    """The product of this run, which runs while tests drive it."""
    from tests.shared_product import SharedProduct

    return SharedProduct(tmp_path_factory)


@pytest.fixture(scope="session")
def exporter() -> InMemorySpanExporter:
    """Holds every span of this process."""
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        trace.set_tracer_provider(telemetry.tracing.provider("test", 1.0))
    current = trace.get_tracer_provider()
    assert isinstance(current, TracerProvider)
    exporter = InMemorySpanExporter()
    current.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Iterator[InMemorySpanExporter]:
    """The spans of this test."""
    exporter.clear()
    yield exporter
    exporter.clear()
