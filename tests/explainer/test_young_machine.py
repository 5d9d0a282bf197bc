"""A machine that is watched since a minute or two, and a program that then takes all its cores.

The rule asks for a minute of it, so that most of what is known is the fault itself. The program is
named from a minute of the past on. What is younger has nothing to compare with: then nobody is
named, or the machine that the alarm is about.
"""

import numpy as np
import pytest

from services.explainer.clients.detector import ANOMALY_LEAD_MS
from services.explainer.evidence.collect import CollectedEvidence, Sources, gather
from services.explainer.evidence.ledger import Ledger
from services.explainer.evidence.sources import Findings
from services.explainer.model.evidence import Figure
from services.explainer.model.subjects import SeriesSamples, SubjectFacts, SubjectKind, SubjectRef
from services.explainer.model.windows import Values
from services.explainer.rankers import rank
from tests.explainer.test_fault_families import Scripted, unheard

BURNT_MS = 1_700_000_000_000
STEP_MS = 15_000
HELD_MS = 60_000
LABELS = {"instance": "laptop", "job": "agent"}


def machine(past_s: int, after_s: int, seed: int) -> list[SeriesSamples]:
    """What the agent tells of a machine with two cores, from `past_s` before the burn on."""
    made = np.random.default_rng(seed)
    times = np.arange(BURNT_MS - past_s * 1000, BURNT_MS + HELD_MS + after_s * 1000 + 1, STEP_MS)
    times = times + STEP_MS // 3
    burns = times > BURNT_MS
    burning_s, size = np.maximum(times - BURNT_MS, 0) / 1000, times.size

    def calm(level: float, spread: float) -> Values:
        return np.abs(level + spread * made.standard_normal(size))

    # the product has just started: buffers fill, what started once is done
    age = np.arange(size)
    cores = {
        "python": calm(0.16, 0.03),
        "postgres": calm(0.05, 0.02),
        "[kernel]": np.where(burns, calm(0.004, 0.001), calm(0.002, 0.001)),
        "chromium": calm(0.08, 0.04),
        "redis-server": calm(0.006, 0.001),
        "md5sum": np.where(burns, calm(1.72, 0.02), 0.0),
        "sh": np.where(burns, 0.0006, 0.0),
    }
    busy = np.minimum(sum(cores.values()) / 2, 1.0)
    memory = {"python": 9e8, "postgres": 2e8, "[kernel]": 0.0, "chromium": 4e8, "md5sum": 2e6}
    found = {
        ("node_cpu_utilization_ratio", ""): np.where(burns, np.maximum(busy, 0.97), busy),
        ("node_load1", ""): 2.1 - 1.7 * np.exp(-burning_s / 60) + calm(0.0, 0.05),
        ("node_memory_Buffers_bytes", ""): 3e8 + 4e5 * age + calm(0.0, 5e4),
        ("node_memory_MemFree_bytes", ""): 9e9 - 6e6 * age + calm(0.0, 1e6),
        ("node_memory_utilization_ratio", ""): 0.24 + 0.0003 * age,
        ("node_context_switches_total", ""): np.cumsum(np.where(burns, 4e4, 9e4)),
        **{("namedprocess_namegroup_cpu_cores", name): used for name, used in cores.items()},
        **{
            ("namedprocess_namegroup_memory_bytes", name): np.where(
                burns | (name != "md5sum"), taken, 0.0
            )
            * calm(1.0, 0.002)
            for name, taken in memory.items()
        },
    }
    return [
        SeriesSamples(
            series_id=number,
            labels={"__name__": name, **LABELS, **({"groupname": group} if group else {})},
            timestamps_ms=times,
            values=values,
        )
        for number, ((name, group), values) in enumerate(found.items(), 1)
    ]


async def explained(past_s: int, after_s: int, seed: int) -> CollectedEvidence:
    """What is found of the anomaly of the rule."""
    series = machine(past_s, after_s, seed)
    own = series[0]
    event_ms = int(own.timestamps_ms[own.timestamps_ms >= BURNT_MS + HELD_MS][0])
    facts = SubjectFacts(
        ref=SubjectRef(kind=SubjectKind.ANOMALY, id="a1"),
        state="",
        title="node_cpu_utilization_ratio is beyond its threshold",
        severity="warning",
        labels=own.labels,
        metric="node_cpu_utilization_ratio",
        event_ms=event_ms,
        lead_ms=ANOMALY_LEAD_MS,
        figures=(
            Figure(name="value", value=0.98, unit="1"),
            Figure(name="threshold", value=0.9, unit="1"),
            Figure(name="held", value=HELD_MS / 1000, unit="s"),
        ),
        is_breach=True,
    )
    sources = Sources(
        subject=Scripted("subject", Findings(series=(own,))),
        nearby=(Scripted("nearby", Findings(series=tuple(series[1:]))),),
        moved=Scripted("moved", Findings()),
        reported=(),
    )
    return await gather(
        facts, sources, Ledger(unheard), end_ms=event_ms + after_s * 1000, within_s=30
    )


@pytest.mark.parametrize("past_s", [0, 15, 30, 45, 60, 90, 120, 165, 200, 300, 600, 3600])
async def test_the_program_is_named_and_never_another(past_s: int) -> None:
    named = set()
    for seed in range(5):
        for after_s in (0, 15, 60, 300):
            found = rank((await explained(past_s, after_s, seed)).case)
            named.add("nobody" if found.abstained else found.suspects[0].entity)
    assert named <= ({"md5sum"} if past_s >= 60 else {"md5sum", "nobody", "laptop"})
