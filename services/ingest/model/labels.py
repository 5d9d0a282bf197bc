"""Label sets: what is allowed, and the identity that follows from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

Labels = tuple[tuple[str, str], ...]
"""Name and value pairs, sorted by name, no name twice."""

METRIC_NAME: Final = "__name__"
MAX_LABELS: Final = 64
MAX_NAME_CHARS: Final = 128
MAX_VALUE_BYTES: Final = 2048

_MOST_BYTES_OF_CHAR: Final = 4
_BETWEEN: Final = b"\xff"
"""Never part of UTF-8, so no two label sets look alike."""


class LabelsRefused(ValueError):  # noqa: N818 - it says what happened
    """A label set is not allowed; the message says what to change."""


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """A valid label set of a series and its 16-byte identity."""

    labels: Labels
    digest: bytes

    @property
    def text_bytes(self) -> int:
        """About how much memory its texts take at most; many of them are those of others, too."""
        return sum(
            len(text) if text.isascii() else 4 * len(text) for pair in self.labels for text in pair
        )


def series_key(pairs: Sequence[tuple[str, str]]) -> SeriesKey:
    """The identity of a series.

    Raises:
        LabelsRefused: The set is empty, lacks `__name__`, repeats a name, or breaks a limit.
    """
    labels = checked(pairs, required=METRIC_NAME)
    return SeriesKey(labels, blake2b(_canonical(labels), digest_size=16).digest())


def fingerprint(labels: Labels) -> str:
    """16 hexadecimal digits over a sorted label set."""
    return blake2b(_canonical(labels), digest_size=8).hexdigest()


def shard_of(digest: bytes, shard_count: int) -> int:
    """The shard that keeps the order of a series."""
    return int.from_bytes(digest[:8], "big") % shard_count


def checked(pairs: Sequence[tuple[str, str]], *, required: str) -> Labels:
    """The pairs sorted by name, without empty names and values, when all rules hold.

    Raises:
        LabelsRefused: A rule is broken.
    """
    labels = tuple(sorted([pair for pair in pairs if pair[0] and pair[1]]))
    if len(labels) > MAX_LABELS:
        raise LabelsRefused(f"{len(labels)} labels: send at most {MAX_LABELS}")
    before, has_required = "", False
    for name, value in labels:
        if len(name) > MAX_NAME_CHARS or "\0" in name:
            raise LabelsRefused(_wrong_name(name))
        if len(value) > MAX_VALUE_BYTES // _MOST_BYTES_OF_CHAR or "\0" in value:
            check_text(f"value of label {name!r}", value, MAX_VALUE_BYTES)
        if name == before:
            raise LabelsRefused(f"label {name!r} comes twice: send it once")
        has_required |= name == required
        before = name
    if not has_required:
        raise LabelsRefused(f"label {required!r} is missing: add it")
    return labels


def check_text(field: str, text: str, max_bytes: int) -> None:
    """Passes a text that fits and that a database can hold.

    Raises:
        LabelsRefused: It is too long or has a NUL character.
    """
    if len(text.encode()) > max_bytes:
        raise LabelsRefused(f"{field}: at most {max_bytes} bytes are allowed")
    if "\0" in text:
        raise LabelsRefused(f"{field}: the NUL character is not allowed")


def _wrong_name(name: str) -> str:
    if len(name) > MAX_NAME_CHARS:
        return f"label name {name[:MAX_NAME_CHARS]!r}…: use at most {MAX_NAME_CHARS} characters"
    return f"label name {name!r}: the NUL character is not allowed"


def _canonical(labels: Labels) -> bytes:
    return _BETWEEN.join([part.encode() for pair in labels for part in pair])
