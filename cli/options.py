"""Options that several commands share."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from cli.problem import Problem

DataDir = Annotated[
    Path,
    typer.Option("--data-dir", envvar="SENSUS_DATA_DIR", help="Where the product keeps its data."),
]
DEFAULT_DATA_DIR = Path(".sensus")


_UNITS = {"m": 60, "h": 3600, "d": 86_400}


def length(option: str, text: str) -> timedelta:
    """A length of time such as 30m, 4h or 2d.

    Raises:
        Problem: Names the option.
    """
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isdecimal():
        raise Problem(f"{option} {text}: write a number and m, h or d, such as 4h")
    return timedelta(seconds=int(number) * _UNITS[unit])


def data_dir_words(path: Path) -> list[str]:
    """The option that names `path` in a command to copy; none for the default."""
    return [] if path == DEFAULT_DATA_DIR.resolve() else ["--data-dir", str(path)]
