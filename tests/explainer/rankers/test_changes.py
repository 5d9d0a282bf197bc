"""Which change is to blame."""

from dataclasses import replace

import pytest

from services.explainer.model.case import Case, Change, LogPattern, Symptom
from services.explainer.model.ranking import Ranking
from services.explainer.rankers import rank_changes
from services.explainer.rankers.changes import LONGEST_LAG_MS
from services.explainer.rankers.diffs import harmless, weakens
from services.explainer.rankers.wording import shared_terms
from tests.explainer.rankers.cases import START_MS, STEP_MS, alert, case, series

UNLOCK = "-\tmu.Lock()\n-\tdefer mu.Unlock()\n \tcounts[id]++"
LOGGING = '-  log.Info("charged")\n+  log.Info("charged", "id", id)'


def deploy(id: str, *, lag_steps: float = 2.0, service: str = "pay", **more: str) -> Change:
    """A deploy so many minutes before the symptom."""
    at_ms = START_MS - int(lag_steps * STEP_MS)
    return Change(
        evidence_id=f"change|{id}",
        id=id,
        kind=more.get("kind", "deploy"),
        service=service,
        at_ms=at_ms,
        text=more.get("text", ""),
        files=(f"{id}.go",),
        diff=more.get("diff", ""),
    )


FILLER = tuple(deploy(f"c{i}", lag_steps=900, text=f"chore number {i}") for i in range(20))


def broken(*changes: Change) -> Case:
    """`pay` fails with errors about a ledger."""
    lines = LogPattern(
        evidence_id="log|1",
        service="pay",
        text="ledger_entries: no such relation",
        count=90.0,
        delta=90.0,
        negative=True,
    )
    base = case(
        series("pay", "error_ratio", observed=80.0),
        subject=alert("error_ratio", Symptom.ERRORS, service="pay"),
    )
    return replace(base, changes=(*changes, *FILLER), log_patterns=(lines,))


def named(found: Ranking) -> str | None:
    """The change that is blamed, if one is."""
    return None if found.abstained else found.suspects[0].entity


def test_a_change_that_weakens_a_protection_is_blamed() -> None:
    found = rank_changes(broken(deploy("race", diff=UNLOCK), deploy("tidy", text="tidy names")))
    assert named(found) == "race"
    assert found.suspects[0].reasons[0].evidence_id == "change|race"


def test_a_change_that_speaks_of_what_failed_is_blamed() -> None:
    assert named(rank_changes(broken(deploy("ledger", text="query ledger entries relation"))))


@pytest.mark.parametrize(
    "change",
    [
        deploy("old", lag_steps=LONGEST_LAG_MS / STEP_MS + 1, diff=UNLOCK),
        deploy("later", lag_steps=-1, diff=UNLOCK),
        deploy("elsewhere", service="mail", diff=UNLOCK),
        deploy("commit", kind="commit", diff=UNLOCK),
        deploy("logging", text="ledger entries relation", diff=LOGGING),
        deploy("unrelated", text="round taxes"),
    ],
    ids=lambda change: change.id,
)
def test_a_change_that_cannot_be_the_cause_is_not_named(change: Change) -> None:
    assert named(rank_changes(broken(change))) is None


def test_two_changes_that_cannot_be_told_apart_are_not_named() -> None:
    twins = (deploy("one", diff=UNLOCK), deploy("two", diff=UNLOCK))
    assert named(rank_changes(broken(*twins))) is None


def test_a_failing_machine_outweighs_likeness_of_words() -> None:
    wordy = broken(deploy("ledger", text="query ledger entries relation"))
    machine = series("node-1", "node_cpu_utilization", observed=95.0)
    assert named(rank_changes(replace(wordy, series=(*wordy.series, machine)))) is None


def test_a_surge_of_load_outweighs_likeness_of_words() -> None:
    wordy = broken(deploy("ledger", text="query ledger entries relation"))
    surge = series("pay", "requests", observed=80.0)
    assert named(rank_changes(replace(wordy, series=(*wordy.series, surge)))) is None


@pytest.mark.parametrize(
    "diff",
    [
        UNLOCK,
        "-\tif r.Result == nil {\n-\t\treturn\n-\t}",
        "-const maxConns = 50\n+const maxConns = 10",
        "-  retry(3, call)\n+  call()",
    ],
)
def test_protection_taken_away_is_seen(diff: str) -> None:
    assert weakens(diff)


@pytest.mark.parametrize(
    "diff",
    [
        "",
        "-  if err { stop() }\n+  if err { halt() }",
        "-cache_entries: 50000\n+cache_entries: 60000",
        "-// if in doubt, lock\n+// see the manual",
        "--- a/lock.go\n+++ b/lock.go\n+  count()",
    ],
)
def test_what_only_moves_protection_is_not_weaker(diff: str) -> None:
    assert not weakens(diff)


@pytest.mark.parametrize("name", ["README.md", "a/site.css", "pkg/x_test.go", "go.mod", "go.sum"])
def test_files_for_people_and_packages_are_harmless(name: str) -> None:
    assert harmless([name], "-a\n+b")
    assert not harmless([name, "main.go"], "-a\n+b")


def test_rare_words_tell_more_than_common_ones() -> None:
    others = ["tidy cart", "tidy ads", "tidy pay", "move ledger"]
    rare = shared_terms("ledger", ["ledger failed"], others)
    assert rare > shared_terms("tidy", ["tidy failed"], others) > 0.0
    assert shared_terms("unheard", ["unheard"], others) == 0.0
