"""Finds recorded incidents below a directory."""

from collections.abc import Callable, Iterator
from pathlib import Path

from cli.problem import Problem
from cli.rank.incidents import callgraphs, changes, traces
from cli.rank.incidents.incident import Incident

READERS = (callgraphs, traces, changes)


def _raised(problem: Problem) -> None:
    raise problem


def find_incidents(
    directory: Path, *, damaged: Callable[[Problem], None] = _raised
) -> Iterator[Incident]:
    """Every incident below `directory`, in the order of the paths; reads no `labels` folder.

    Args:
        directory: Searched at any depth.
        damaged: Takes what is wrong with an incident that cannot be read; raises it by default.
    """
    directory = directory.resolve()  # what an incident names may lie above
    for folder in sorted([directory, *(p for p in directory.rglob("*") if p.is_dir())]):
        if "labels" in folder.relative_to(directory).parts:
            continue
        try:
            yield from _read(folder)
        except Problem as problem:
            damaged(problem)
        except Exception as error:
            damaged(Problem(f"{folder}: an incident cannot be read: {error!r}"))


def _read(folder: Path) -> Iterator[Incident]:
    for reader in READERS:
        if (folder / reader.MARKER).is_file():
            yield from reader.read(folder)
