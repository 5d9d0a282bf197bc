"""Label sets as they are sent: usable, or why they are not."""

import sys
from collections.abc import Iterable, Sequence

from services.ingest.model.labels import LabelsRefused, series_key
from services.ingest.model.writes import Definition


def definition(pairs: Sequence[tuple[str, str]]) -> Definition:
    """A label set as it was sent: its identity, or why it is refused."""
    if not all(name for name, _ in pairs):
        return LabelsRefused("a label has no name: give it one")
    try:
        return series_key(pairs)
    except LabelsRefused as refusal:
        return refusal


def decoded(pairs: Iterable[tuple[bytes, bytes]]) -> Definition:
    """Like `definition`, of bytes that should be UTF-8."""
    try:
        return definition([(_text(name), _text(value)) for name, value in pairs])
    except UnicodeDecodeError:
        return LabelsRefused("a label is not UTF-8: send UTF-8")


def _text(raw: bytes) -> str:
    """Kept once however many series have it."""
    return sys.intern(raw.decode())
