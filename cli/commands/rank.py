"""`sensus rank`: causes of recorded incidents."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from cli.problem import Problem
from cli.rank.incidents import Incident, find_incidents
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

    What is damaged, and incidents of the same id, are left out, told on stderr and end the command
    with status 1; the others are ranked all the same.
    """
    if not incidents.is_dir():
        raise Problem(f"--incidents {incidents}: there is no such directory")
    ranks, problems = _ranks(incidents, named_only=named_only)
    if ranks:
        _write(out, ranks)
    if problems:
        kept = f"the other {len(ranks)} are in {out}" if ranks else f"{out} is not written"
        raise Problem("\n".join([*problems, f"left out what is named above; {kept}"]))
    if not ranks:
        raise Problem(f"--incidents {incidents}: no incident of a known format below it")


def _ranks(directory: Path, *, named_only: bool) -> tuple[dict[str, list[str]], list[str]]:
    """Suspects by incident, and what is wrong with those that are left out."""
    problems: list[Problem] = []
    ranks: dict[str, list[str]] = {}
    places: dict[str, list[Path]] = defaultdict(list)
    for incident in find_incidents(directory, damaged=problems.append):
        places[incident.id].append(incident.place)
        try:
            ranks[incident.id] = _answer(incident, named_only=named_only)
        except Exception as error:
            message = f"{incident.place}: incident {incident.id!r} cannot be ranked: {error!r}"
            problems.append(Problem(message))
    alone = {id: found for id, found in ranks.items() if len(places[id]) == 1}
    return alone, list(dict.fromkeys([*map(str, problems), *_namesakes(places)]))


def _namesakes(places: Mapping[str, Sequence[Path]]) -> Iterator[str]:
    for id, found in places.items():
        if len(found) > 1:
            named = " and ".join(map(str, found))
            yield f"{named}: these are all incident {id!r}: rename them, or rank them apart"


def _write(out: Path, ranks: dict[str, list[str]]) -> None:
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
