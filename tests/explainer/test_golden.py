"""Twelve explanations as people read them, one per kind of fault.

After a deliberate change of wording: `SENSUS_WRITE_GOLDEN=1 pytest tests/explainer/test_golden.py`,
then read the files aloud.
"""

import os
import uuid
from pathlib import Path
from uuid import UUID

import pytest

from mesh.deadline import time_remaining
from services.explainer.claims.ask import Draft
from services.explainer.claims.facts import Facts
from services.explainer.evidence.collect import Sources
from services.explainer.explanations.pipeline import Pipeline
from services.explainer.model.explanation import Explanation, Group, Wording
from services.explainer.model.frames import Frame
from services.explainer.rankers import rank
from tests.explainer.faults import FAULTS
from tests.explainer.test_fault_families import sources_of, subject

GOLDEN = Path(__file__).parent / "golden"
WAIT_S = 360.0


class ByRules:
    """Asks no model."""

    async def draft(self, facts: Facts, explanation_id: UUID) -> tuple[Draft, Group]:
        """See `Asking.draft`."""
        return Draft(), Group(group_id=explanation_id, size=1)

    async def keep(self, explanation_id: UUID, draft: Draft, wording: Wording) -> None:
        """See `Asking.keep`."""


class Unheard:
    """Takes the steps and tells nobody."""

    explanation_id = uuid.UUID(int=0)

    async def emit(self, *frames: Frame) -> None:
        """Forgets them."""


async def explained(family: str, *, counters: bool = False) -> Explanation:
    """A fault, explained by rules six minutes after it began."""
    fault = FAULTS[family]
    sources: Sources = sources_of(fault, WAIT_S, counters=counters)
    pipeline = Pipeline(
        sources=sources, rank=rank, asking=ByRules(), gather_within_s=30, after_ms=300_000
    )
    return await pipeline.explain(subject(fault, WAIT_S), Unheard())


@pytest.mark.parametrize("family", FAULTS)
async def test_explanation_reads_as_it_was_read_aloud(family: str) -> None:
    text = (await explained(family)).text
    shown = "\n".join(
        [text.root_cause, text.mitigation, *text.summary.replace(". ", ".\n").splitlines(), ""]
    )
    path = GOLDEN / f"{family.replace(' ', '-')}.txt"
    if os.environ.get("SENSUS_WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(shown)
    assert shown == path.read_text()


async def test_gathering_leaves_no_deadline_behind() -> None:
    await explained("disk")
    assert time_remaining() is None
