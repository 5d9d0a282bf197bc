"""Who is named for faults that the product has never seen, over the wire, within 90 seconds?

Starts the product, and for each family a shop of its own: six services of unmodified OpenTelemetry
packages (see `shop`). All run well for three minutes. Then each has its fault, 45 s later an alert
is posted about it as a watchdog outside would, which knows only that customers complain; 30 s after
that it is explained anew if nobody was named. What is scored is what the product said within
90 s of the fault. A family is right when one of those that are to blame is the first suspect, and
named when it is also told with confidence; without a fault nobody may be named.

    make exam                                 or   python -m bench.exam
    make exam EXAM="--sampled .5"             half of the traces
    make exam EXAM="--only exception down"    some families
    make exam EXAM="--through 'tail sampling'"  or collector: what tools/get-peers.sh builds
    make exam EXAM="--turn 0"                 each family disturbed in another way; 0 to 7
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans
from rich.console import Console
from rich.table import Table

from bench.exam.collector import TAIL, WAYS, program
from bench.exam.families import FAMILIES, Family
from bench.exam.shops import ROLES, Around, Started, open_shop
from bench.product import answered, channel
from cli.embedded.redis import EmbeddedRedis
from mesh.auth import TokenMinter
from tests.product import UNLIMITED, Door, started, webhook

ROOT: Final = Path(__file__).parents[2]
QUIET_S: Final = 180.0
ALERT_S: Final = 45.0
ANEW_S: Final = 75.0
VERDICT_S: Final = 90.0
APART_S: Final = 4.0
"""From the fault of one shop to that of the next: they are asked about alone, as companies are."""
MISSED_MAX: Final = 3
DISTURBANCES: Final[Sequence[Mapping[str, object]]] = (
    {"sampled": 0.5},
    {"sampled": 0.1},
    {"lost": 0.2},
    {"without": "seats"},
    {"clocks_ms": 40.0},
    {"logs": False},
    {"through": "collector", "conventions": "new"},
    {"through": TAIL},
)
_UNDISTURBED: Final[Mapping[str, object]] = {
    "sampled": 1.0,
    "lost": 0.0,
    "without": "",
    "clocks_ms": 0.0,
    "logs": True,
    "through": "",
    "conventions": "",
}
_POLL_S: Final = 1.0
_PATIENCE: Final = "SENSUS_EXPLAINER_GATHER_TIMEOUT_S"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was said of one shop.

    Attributes:
        first: Role of the first suspect; "" for none.
        is_named: Whether it was told with confidence.
        after_s: Seconds from the fault to the verdict.
        disturbed: What was wrong with the telemetry.
    """

    family: Family
    disturbed: str
    first: str = ""
    confidence: float = 0.0
    is_named: bool = False
    after_s: float = 0.0
    cause: str = ""

    @property
    def is_right(self) -> bool:
        """Whether one of those to blame is first; without a fault, whether nobody is named."""
        return self.first in self.family.expected if self.family.expected else not self.is_named

    @property
    def is_wrong(self) -> bool:
        """Whether somebody was named who is not to blame."""
        return self.is_named and not self.is_right

    @property
    def summary(self) -> str:
        """On one line: the family, how it was disturbed, who was named and why."""
        right = "right" if self.is_right else "WRONG" if self.is_wrong else "not right"
        named = "named" if self.is_named else "not named"
        first = f"{self.first or 'nobody'} {self.confidence:.0%}, {named}"
        said = self.cause or "no explanation"
        return f"{self.family.name} ({self.disturbed}): {right}: {first}: {said}"


async def main() -> int:
    """Runs the exam; 0 when it was passed."""
    asked, console = _parsed(), Console(width=150)
    families = [each for each in FAMILIES if not asked.only or each.name in asked.only]
    if not asked.python.is_file():
        console.print(f"skipped: {asked.python} is missing, `make exam` makes it")
        return 0
    if (asked.through or asked.turn is not None) and program() is None:
        console.print("skipped: no Collector is here, tools/get-peers.sh builds one")
        return 0
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory(prefix="sensus-exam-") as directory:
        async with (
            started(Path(directory) / "product", settings=_settings(asked)) as door,
            EmbeddedRedis(Path(directory) / "cache") as cache,
        ):
            await _taking(door)
            around = Around(
                python=asked.python,
                target=door.product.run.ingest_target,
                token=_token(door),
                redis=cache.url,
                directory=Path(directory),
                disturbances={
                    "sampled": asked.sampled,
                    "lost": asked.lost,
                    "without": asked.without,
                    "clocks_ms": asked.clocks,
                    "logs": not asked.no_logs,
                    "through": asked.through,
                    "conventions": asked.conventions,
                },
            )
            for first in range(0, len(families), asked.at_once):
                wave = families[first : first + asked.at_once]
                verdicts += await _wave(wave, door, around, asked.turn, console)
    return _print(console, verdicts)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--only", nargs="*", default=[], choices=[f.name for f in FAMILIES])
    parser.add_argument("--at-once", type=int, default=7, help="shops at a time")
    parser.add_argument("--sampled", type=float, default=1.0, help="share of traces kept")
    parser.add_argument("--lost", type=float, default=0.0, help="share of spans lost")
    parser.add_argument("--without", default="", choices=ROLES, help="a service that sends nothing")
    parser.add_argument("--clocks", type=float, default=0.0, help="milliseconds clocks are off")
    parser.add_argument("--no-logs", action="store_true", help="no log lines")
    parser.add_argument("--through", default="", choices=WAYS, help="what is on the way")
    parser.add_argument("--conventions", default="", choices=("", "new"), help="of the packages")
    parser.add_argument(
        "--turn",
        type=int,
        choices=range(len(DISTURBANCES)),
        help="each family disturbed in another way, in each turn another",
    )
    parser.add_argument(
        "--patience",
        type=float,
        help="seconds that an explanation waits for its evidence, where others compute beside it",
    )
    parser.add_argument("--python", type=Path, default=ROOT / ".exam" / "bin" / "python")
    return parser.parse_args()


def _settings(asked: argparse.Namespace) -> dict[str, str]:
    patience = {} if asked.patience is None else {_PATIENCE: str(asked.patience)}
    return {**UNLIMITED, **patience}


async def _taking(door: Door) -> None:
    """Waits until spans are taken: a product that was never started here compiles its readers."""
    request = ExportTraceServiceRequest(resource_spans=[ResourceSpans()])
    target = door.product.run.ingest_target
    async with channel(door.product, target, "write:traces") as opened:
        traces: Any = TraceServiceStub(opened)  # type: ignore[no-untyped-call]
        await answered(traces.Export, request)


def _token(door: Door) -> str:
    minter = TokenMinter.from_file(door.product.directory.keys / "gateway.pem", "gateway")
    return minter.mint("key:exam", ["write:traces", "write:logs"], 24 * 3600)


async def _wave(
    families: Sequence[Family], door: Door, around: Around, turn: int | None, console: Console
) -> list[Verdict]:
    """Some shops at the same time. Each verdict is told as it comes.

    A family has one number, whichever are asked about: it is disturbed alike in the same turn.
    """
    async with AsyncExitStack() as stack:
        async with asyncio.TaskGroup() as starting:
            tasks = []
            for family in families:
                number = FAMILIES.index(family) + 1
                own = around
                if turn is not None:
                    own = replace(around, disturbances=_in_turn(number + turn))
                opening = stack.enter_async_context(open_shop(family, number, own))
                tasks.append(starting.create_task(opening))
        shops = [each.result() for each in tasks]
        await asyncio.sleep(QUIET_S)
        verdicts = []
        examined = [_examined(each, door, APART_S * place) for place, each in enumerate(shops)]
        for coming in asyncio.as_completed(examined):
            verdicts.append(verdict := await coming)
            console.print(verdict.summary, style="dim", markup=False)
        await asyncio.gather(*(each.end() for each in shops))
        return sorted(verdicts, key=lambda each: families.index(each.family))


def _in_turn(number: int) -> dict[str, object]:
    """One of the disturbances, another one for the next number."""
    return {**_UNDISTURBED, **DISTURBANCES[number % len(DISTURBANCES)]}


async def _examined(shop: Started, door: Door, after_s: float) -> Verdict:
    """The fault, which begins after a while, the alert about it, and what is said."""
    await asyncio.sleep(after_s)
    await shop.have(shop.family.name)
    began_s = time.monotonic()
    await asyncio.sleep(ALERT_S)
    service = shop.service(shop.family.about)
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body = webhook("CustomersComplain", starts_at=now, service=service, severity="critical")
    (await door.http.post("/api/v1/alerts", json=body)).raise_for_status()
    found, known, is_anew = _verdict(shop, {}, 0.0), "", False
    while (after_s := time.monotonic() - began_s) < VERDICT_S and not found.is_named:
        said = await _said(door, service)
        if said is not None and said["explanationId"] != known:
            known = said["explanationId"]
            found = _verdict(shop, said, after_s)
        if said is not None and after_s > ANEW_S and not is_anew and not found.is_named:
            is_anew = True
            subject = {"subject": said["subject"], "anew": True}
            await door.http.post("/api/v1/explanations:explain", json=subject)
        await asyncio.sleep(_POLL_S)
    return found


async def _said(door: Door, service: str) -> dict[str, Any] | None:
    """The finished explanation of the alert about a service, as it stands."""
    query = {"selector": f'{{service="{service}"}}'}
    alerts = (await door.http.get("/api/v1/alerts", params=query)).raise_for_status().json()
    if not alerts.get("alerts"):
        return None
    asked = {
        "alertIds": alerts["alerts"][0]["alertId"],
        "state": "EXPLANATION_STATE_DONE",
        "current": "true",
    }
    answer = await door.http.get("/api/v1/explanations", params=asked)
    found = answer.raise_for_status().json().get("explanations", [])
    return dict(found[0]) if found else None


def _verdict(shop: Started, said: dict[str, Any], after_s: float) -> Verdict:
    suspects = said.get("suspects", [])
    first = suspects[0] if suspects else {}
    return Verdict(
        family=shop.family,
        disturbed=_summary(shop.disturbances),
        first=str(first.get("entity", "")).removeprefix(f"{shop.name}-"),
        confidence=float(first.get("confidence", 0.0)),
        is_named=said.get("verdict") == "VERDICT_EXPLAINED",
        after_s=after_s,
        cause=said.get("rootCause") or said.get("summary", ""),
    )


def _print(console: Console, verdicts: Sequence[Verdict]) -> int:
    table = Table(title=f"{len(verdicts)} families")
    for column in (
        "family",
        "what",
        "disturbed",
        "to blame",
        "first suspect",
        "named",
        "right",
        "after",
    ):
        table.add_column(column)
    for each in verdicts:
        named = f"{each.confidence:.0%}" if each.is_named else "no"
        is_right = "yes" if each.is_right else "WRONG" if each.is_wrong else "no"
        to_blame = " or ".join(each.family.expected) or "nobody"
        after = f"{each.after_s:.0f} s" if each.is_named else ""
        table.add_row(
            each.family.name,
            each.family.what,
            each.disturbed,
            to_blame,
            each.first,
            named,
            is_right,
            after,
        )
    console.print(table)
    with_fault = [each for each in verdicts if each.family.expected]
    right = sum(each.is_right for each in verdicts)
    surely = sum(each.is_named and each.is_right for each in with_fault)
    wrong = sum(each.is_wrong for each in verdicts)
    console.print(
        f"right {right} of {len(verdicts)}, named and right {surely} of {len(with_fault)}, "
        f"named wrongly {wrong}; goal: all but {MISSED_MAX} right, none named wrongly"
    )
    return 0 if right >= len(verdicts) - MISSED_MAX and not wrong else 1


def _summary(disturbances: Mapping[str, Any]) -> str:
    told = {
        "sampled": "{:.0%} of the traces",
        "lost": "{:.0%} of the spans lost",
        "without": "{} sends nothing",
        "clocks_ms": "clocks off by {:g} ms",
        "logs": "no log lines",
        "through": "through {}",
        "conventions": "{} conventions",
    }
    found = [
        words.format(disturbances[name])
        for name, words in told.items()
        if disturbances[name] != _UNDISTURBED[name]
    ]
    return ", ".join(found) or "undisturbed"


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
