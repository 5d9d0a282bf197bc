"""What people marked in a corpus: `labels.json`, or NAB's own `labels/combined_windows.json`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from cli.problem import Problem
from cli.timestamps import milliseconds

Window = tuple[int, int]
"""First and last millisecond of something abnormal."""

_FILES = ("labels.json", "labels/combined_windows.json")


class _Marked(msgspec.Struct):
    windows: Sequence[tuple[str, str]] = ()


def read_labels(corpus: Path) -> Mapping[str, Sequence[Window]]:
    """The marked windows of each series, by `<group>/<name>.csv`; empty without such a file.

    Raises:
        Problem: A file that is something else; names the place in it.
    """
    for file in (corpus / name for name in _FILES):
        if file.exists():
            return _read(file)
    return {}


def _read(file: Path) -> dict[str, list[Window]]:
    kind = dict[str, _Marked | Sequence[tuple[str, str]]]
    try:
        marked = msgspec.json.decode(file.read_bytes(), type=kind)
        return {name: _windows(each) for name, each in marked.items()}
    except (msgspec.MsgspecError, ValueError, OSError) as error:
        raise Problem(f"{file}: {error}") from error


def _windows(marked: _Marked | Sequence[tuple[str, str]]) -> list[Window]:
    windows = marked.windows if isinstance(marked, _Marked) else marked
    return [(milliseconds(start), milliseconds(end)) for start, end in windows]
