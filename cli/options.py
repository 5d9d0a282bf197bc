"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path,
    typer.Option("--data-dir", envvar="SENSUS_DATA_DIR", help="Where the product keeps its data."),
]
DEFAULT_DATA_DIR = Path(".sensus")
