"""Processes of the shop: started, told which fault to have, killed or frozen, ended."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.exam.collector import between
from bench.exam.families import Family
from tests.ports import free_port

HERE: Final = Path(__file__).parent
ROLES: Final = ("box", "seats", "prices", "rates", "bank", "mailer")
INSTANCES: Final = (*ROLES, "bank-2")
PACE: Final = 3.0
"""Customers a second."""

_OUTSIDE: Final = ("through", "conventions")
"""Disturbances that the code of a shop does not know."""
_START_S: Final = 180.0
_END_S: Final = 30.0
_SIGNALS: Final = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What all shops share.

    Attributes:
        python: The interpreter that has the packages of the shop.
        target: Where OTLP is taken, host:port.
        disturbances: Those of `shop.telemetry.Disturbances`; `through`, one of `collector.WAYS`;
            and `conventions`, "new" or what the packages do by themselves.
    """

    python: Path
    target: str
    token: str
    redis: str
    directory: Path
    disturbances: Mapping[str, object]


@dataclass(slots=True, kw_only=True)
class Started:
    """One shop."""

    family: Family
    name: str
    disturbances: Mapping[str, object]
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)
    apart: asyncio.subprocess.Process | None = None

    def service(self, role: str) -> str:
        """The whole name of a service."""
        return f"{self.name}-{role}"

    async def have(self, fault: str) -> None:
        """Sets the fault from now on; "" for none."""
        for each in self.processes:
            if each.stdin is not None and each.returncode is None:
                each.stdin.write(f"{fault}\n".encode())
                await each.stdin.drain()
        if self.apart is not None and self.family.signal and fault:
            self.apart.send_signal(_SIGNALS[self.family.signal])

    async def end(self) -> None:
        """Ends its processes."""
        for each in self.processes:
            if each.returncode is None:
                if each is self.apart:
                    each.send_signal(signal.SIGCONT)
                if each.stdin is not None:
                    each.stdin.close()
        for each in self.processes:
            try:
                await asyncio.wait_for(each.wait(), _END_S)
            except TimeoutError:
                each.kill()
                await each.wait()


@asynccontextmanager
async def open_shop(family: Family, place: int, around: Around) -> AsyncIterator[Started]:
    """A shop with customers, without a fault yet. Its name says nothing of its family."""
    found = Started(family=family, name=f"shop{place}", disturbances=around.disturbances)
    listening = (*INSTANCES, "inside", "collector")
    ports = {name: free_port() for name in listening}
    settings: dict[str, Any] = {
        "name": found.name,
        "ports": ports,
        "redis": around.redis,
        "database": str(around.directory / f"{found.name}.db"),
        "token": around.token,
        "disturbances": {
            name: each for name, each in around.disturbances.items() if name not in _OUTSIDE
        },
    }
    apart = [each for each in INSTANCES if family.apart and each.startswith(family.apart)]
    together = [each for each in INSTANCES if each not in apart]
    async with AsyncExitStack() as stack:
        way, port = str(around.disturbances["through"]), ports["collector"]
        settings["target"] = await stack.enter_async_context(
            between(way, port, around.target, around.token, around.directory)
        )
        stack.push_async_callback(found.end)
        if family.apart:
            found.apart = await _process(settings | {"roles": apart, "pace": 0}, around)
            found.processes.append(found.apart)
        found.processes.append(await _process(settings | {"roles": together, "pace": PACE}, around))
        yield found


async def _process(settings: Mapping[str, object], around: Around) -> asyncio.subprocess.Process:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    if around.disturbances["conventions"] == "new":
        kept["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http,database,rpc"
    log = around.directory / f"{settings['name']}.log"
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            around.python, "-m", "shop", json.dumps(settings),
            cwd=HERE, env=kept | {"PYTHONPATH": str(HERE)},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=errors,
        )  # fmt: skip
    assert process.stdout is not None
    said = await asyncio.wait_for(process.stdout.readline(), _START_S)
    if said.strip() != b"ready":
        raise RuntimeError(f"a shop did not start, see {log}")
    return process
