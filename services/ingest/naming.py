"""Names of OpenTelemetry become names of Prometheus, so that queries and rules fit. Pure.

Source: the compatibility rules of OpenTelemetry and Prometheus, with underscores and suffixes.
"""

import re
from collections.abc import Iterable
from typing import Final

_NO_NAME: Final = re.compile(r"[^a-zA-Z0-9_:]")
_NO_LABEL: Final = re.compile(r"[^a-zA-Z0-9_]")
_SEVERAL: Final = re.compile(r"_{2,}")
_ANNOTATION: Final = re.compile(r"\{[^}]*\}")

_UNITS: Final = {
    "d": "days",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "TiBy": "tibibytes",
    "KBy": "kilobytes",
    "MBy": "megabytes",
    "GBy": "gigabytes",
    "TBy": "terabytes",
    "m": "meters",
    "V": "volts",
    "A": "amperes",
    "J": "joules",
    "W": "watts",
    "g": "grams",
    "Cel": "celsius",
    "Hz": "hertz",
    "%": "percent",
    "1": "",
}
_PER: Final = {
    "s": "second",
    "m": "minute",
    "min": "minute",
    "h": "hour",
    "d": "day",
    "w": "week",
    "mo": "month",
    "y": "year",
}


def metric_name(name: str, unit: str, *, is_counter: bool, is_gauge: bool) -> str:
    """The name of a metric: `http.server.duration` in `s` is `http_server_duration_seconds`."""
    words = [word for word in _NO_NAME.sub("_", name).split("_") if word]
    for suffix in _unit_words(unit):
        if suffix not in words:
            words += suffix.split("_") if suffix.startswith("per_") else [suffix]
    if is_counter:
        words = [word for word in words if word != "total"] + ["total"]
    elif is_gauge and unit == "1" and "ratio" not in words:
        words.append("ratio")
    joined = "_".join(words)
    return f"_{joined}" if joined[:1].isdigit() else joined


def label_name(key: str) -> str:
    """The name of a label: `k8s.pod.name` is `k8s_pod_name`."""
    name = _SEVERAL.sub("_", _NO_LABEL.sub("_", key))
    if name[:1].isdigit():
        return f"key_{name}"
    return f"key{name}" if name.startswith("_") else name


def labels_of(attributes: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Labels of attributes; those whose names become one are joined by `;`, in order of key."""
    labels: dict[str, str] = {}
    for key, value in sorted(attributes):
        name = label_name(key)
        labels[name] = f"{labels[name]};{value}" if name in labels else value
    return labels


def _unit_words(unit: str) -> list[str]:
    main, _, per = _ANNOTATION.sub("", unit).strip().partition("/")
    words = [_UNITS.get(main.strip(), main.strip())]
    if per.strip():
        words.append("per_" + _PER.get(per.strip(), per.strip()))
    cleaned = (_SEVERAL.sub("_", _NO_LABEL.sub("_", word)).strip("_") for word in words)
    return [word for word in cleaned if word and word != "per"]
