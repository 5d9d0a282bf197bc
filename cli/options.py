"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path,
    typer.Option("--data-dir", envvar="SENSUS_DATA_DIR", help="Where the product keeps its data."),
]
DEFAULT_DATA_DIR = Path(".sensus")


def data_dir_words(path: Path) -> list[str]:
    """The option that names `path` in a command to copy; none for the default."""
    return [] if path == DEFAULT_DATA_DIR.resolve() else ["--data-dir", str(path)]
