"""The goals on the recorded incidents, where they are at hand."""

import json
import os
from pathlib import Path

import pytest

from cli.rank.incidents import find_incidents
from services.explainer.rankers import rank, rank_changes

ROOT = Path(__file__).parents[3]
INCIDENTS = ROOT / os.environ.get("SENSUS_BENCH_DIR", "../shared/bench") / "rca"
GOAL_FIRST, GOAL_THIRD = 0.84, 0.90
CODE, CODE_FIRST, CODE_THIRD = "nezha-trainticket-code", 0.8, 0.9

pytestmark = pytest.mark.skipif(
    not INCIDENTS.is_dir(), reason=f"{INCIDENTS} is missing (set SENSUS_BENCH_DIR)"
)


def labels(name: str = "*") -> dict[str, dict[str, list[str]]]:
    """Answers by incident."""
    files = sorted((INCIDENTS / "labels").glob(f"{name}.json"))
    return {id: label for path in files for id, label in json.loads(path.read_text()).items()}


@pytest.mark.parametrize(
    ("directory", "first", "third"),
    [
        pytest.param(INCIDENTS, GOAL_FIRST, GOAL_THIRD, marks=pytest.mark.long, id="all"),
        pytest.param(INCIDENTS / CODE, CODE_FIRST, CODE_THIRD, id="faults in code"),
    ],
)
def test_the_cause_is_first_or_among_the_first_three_often_enough(
    directory: Path, first: float, third: float
) -> None:
    answers = labels()
    places = []
    for incident in (i for i in find_incidents(directory) if i.answers == "service"):
        order = [suspect.entity for suspect in rank(incident.case).suspects]
        places.append(min(order.index(cause) for cause in answers[incident.id]["root_cause"]))
    assert sum(place < 1 for place in places) / len(places) >= first
    assert sum(place < 3 for place in places) / len(places) >= third


def test_no_decoy_is_named_and_no_change_where_none_was_to_blame() -> None:
    answers = labels()
    for incident in find_incidents(INCIDENTS / "rootcausebench"):
        found = rank_changes(incident.case)
        named = "none" if found.abstained else found.suspects[0].entity
        assert named not in answers[incident.id]["decoys"]
        assert answers[incident.id]["root_cause_commit"] != "none" or named == "none"
