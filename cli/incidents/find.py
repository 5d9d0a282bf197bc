"""Finds recorded incidents below a directory."""

from collections.abc import Iterator
from pathlib import Path

from cli.incidents import callgraphs, changes, traces
from cli.incidents.incident import Incident

READERS = (callgraphs, traces, changes)


def find_incidents(directory: Path) -> Iterator[Incident]:
    """Every incident below `directory`, in the order of the paths; reads no `labels` folder."""
    directory = directory.resolve()  # what an incident names may lie above
    for folder in sorted([directory, *(p for p in directory.rglob("*") if p.is_dir())]):
        if "labels" in folder.relative_to(directory).parts:
            continue
        for reader in READERS:
            if (folder / reader.MARKER).is_file():
                yield from reader.read(folder)
