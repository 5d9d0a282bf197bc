"""Samples from the text that exporters expose: Prometheus text and OpenMetrics, line by line."""

import re
import time
from collections.abc import Iterable, Iterator
from typing import Final

from cli.send.sample import BadSample, Sample, checked_labels, checked_value
from mesh.epoch import epoch_ms

_NAME: Final = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_QUOTED: Final = r'"(?:[^"\\\n]|\\.)*"'
_PAIR: Final = rf"\s*(?:(?P<name>{_NAME}|{_QUOTED})\s*=\s*)?(?P<value>{_QUOTED})\s*(?:,|$)"
_LINE: Final = re.compile(
    rf"(?P<name>{_NAME})?(?:\{{(?P<labels>(?:[^\"}}]|{_QUOTED})*)\}})?"
    r"[ \t]+(?P<value>[^\s#,]+)(?:[ \t]+(?P<time>[-+.0-9eE]+))?[ \t]*(?:#.*)?\s*$"
)
_PAIRS: Final = re.compile(_PAIR)
_ESCAPES: Final = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def is_exposition(line: str) -> bool:
    """Whether a line is a comment or a sample of this format."""
    found = _LINE.match(line)
    if found is None:
        return line.startswith("#")
    try:
        checked_value(found["value"])
    except ValueError:
        return False
    return True


def from_exposition(lines: Iterable[tuple[int, str]]) -> Iterator[Sample | BadSample]:
    """One sample a line; comments, metadata and exemplars are left out.

    A time is milliseconds in Prometheus text, seconds in OpenMetrics: its size tells. Without one a
    sample is of now.
    """
    for number, line in lines:
        text = line.lstrip("\ufeff")
        if text.strip() and not text.startswith("#"):
            place = f"line {number}"
            try:
                yield _sample(place, text)
            except ValueError as error:
                yield BadSample(place=place, message=str(error))


def _sample(place: str, line: str) -> Sample:
    found = _LINE.match(line)
    if found is None:
        raise ValueError('not a sample: write name{label="value"} number [time]')
    stamp = found["time"]
    return Sample(
        place=place,
        labels=checked_labels(_labels(found["name"], found["labels"] or "")),
        timestamp_ms=time.time_ns() // 1_000_000 if stamp is None else epoch_ms(float(stamp)),
        value=checked_value(found["value"]),
    )


def _labels(name: str | None, text: str) -> dict[str, str]:
    labels = {"__name__": name} if name else {}
    at = 0
    while text[at:].strip():
        pair = _PAIRS.match(text, at)
        if pair is None:
            raise ValueError(f'labels {text[:80]!r}: write label="value", with commas between')
        key = _unquoted(pair["name"]) if pair["name"] else "__name__"
        if key in labels:
            raise ValueError(f"the label {key} stands twice")
        labels[key] = _unquoted(pair["value"])
        at = pair.end()
    if not labels.get("__name__"):
        raise ValueError("the metric has no name")
    return labels


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    return re.sub(r"\\.", lambda found: _ESCAPES.get(found[0], found[0]), text[1:-1])
