"""`sensus rank`: causes of recorded incidents."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cli.incidents import Incident, find_incidents
from cli.problem import Problem
from services.explainer.model.ranking import Ranking
from services.explainer.rankers import rank as rank_services
from services.explainer.rankers import rank_changes


def rank(
    incidents: Annotated[Path, typer.Option(help="Searched for incidents, at any depth.")],
    out: Annotated[Path, typer.Option(help="JSON: incident id -> suspects, best first.")],
    named_only: Annotated[
        bool, typer.Option(help="Leave the list empty when nobody can be named with confidence.")
    ] = False,
) -> None:
    """Rank the causes of recorded incidents by rules alone, no LLM, no service running.

    Services are ranked in full, confident or not, because an incident without an answer helps
    nobody. Where a change is asked for, the list holds that one change, or nothing when none
    explains the symptom.
    """
    if not incidents.is_dir():
        raise Problem(f"--incidents {incidents}: there is no such directory")
    ranks = {i.id: _answer(i, named_only=named_only) for i in find_incidents(incidents)}
    if not ranks:
        raise Problem(f"--incidents {incidents}: no incident of a known format below it")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(ranks, indent=1, sort_keys=True) + "\n")
    except OSError as error:
        raise Problem(f"--out {out}: {error}") from error
    typer.echo(f"{len(ranks)} incidents ranked into {out}")


def ranking_of(incident: Incident) -> Ranking:
    """What the rules say about an incident."""
    return (rank_changes if incident.answers == "change" else rank_services)(incident.case)


def _answer(incident: Incident, *, named_only: bool) -> list[str]:
    found = ranking_of(incident)
    if found.abstained and (named_only or incident.answers == "change"):
        return []
    entities = [suspect.entity for suspect in found.suspects]
    return entities[:1] if incident.answers == "change" else entities
