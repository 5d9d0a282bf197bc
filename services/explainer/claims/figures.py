"""How figures and times are written, in one way everywhere: what is shown can be found again."""

import math
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from services.explainer.model.evidence import Figure

_BINARY: Final = ((1024**4, "TiB"), (1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"), (1, "B"))
_UNIT_WORDS: Final = {"s": "s", "%": "%", "Cel": "°C"}
_PER_SECOND: Final = "/s"
_LASTED: Final = ((48 * 3600, 86400, "d"), (120 * 60, 3600, "h"), (180, 60, "min"), (0, 1, "s"))
"""From so many seconds on a time is told in a unit of so many."""

_YEARS_MS: Final = 253_402_300_799_999


def shown(figure: Figure) -> str:
    """A figure with its unit, three significant digits.

    >>> shown(Figure(name="a", value=0.012345)), shown(Figure(name="b", value=98.14, unit="%"))
    ('0.0123', '98.1 %')
    >>> shown(Figure(name="c", value=3 * 1024**3, unit="By"))
    '3 GiB'
    >>> shown(Figure(name="d", value=2.5, unit="1/s"))
    '2.5 per second'
    """
    number, unit = number_and_unit(figure)
    return f"{number} {unit}" if unit else number


def number_and_unit(figure: Figure) -> tuple[str, str]:
    """The number as it is written, and the unit beside it ("" for none)."""
    if figure.unit.endswith(_PER_SECOND):
        bare = Figure(name=figure.name, value=figure.value, unit=figure.unit[: -len(_PER_SECOND)])
        number, unit = number_and_unit(bare)
        return number, f"{unit} per second".strip()
    if figure.unit == "By":
        size, unit = next((each for each in _BINARY if abs(figure.value) >= each[0]), _BINARY[-1])
        return rounded(figure.value / size), unit
    return rounded(figure.value), _UNIT_WORDS.get(figure.unit, "")


@lru_cache(maxsize=4096)
def rounded(value: float) -> str:
    """Three significant digits, without an exponent where that stays readable.

    >>> rounded(1234567.0), rounded(-0.5), rounded(2e-07), rounded(41.0), rounded(0.0)
    ('1230000', '-0.5', '2e-07', '41', '0')
    """
    if not math.isfinite(value):
        return "no number"
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e12:
        return f"{value:.3g}"
    digits = 2 - math.floor(math.log10(abs(value)))
    text = f"{round(value, digits):.{max(0, digits)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def shown_time(milliseconds: int) -> str:
    """A time to the second, in UTC.

    >>> shown_time(1_700_000_000_000)
    '2023-11-14 22:13:20 UTC'
    """
    inside = min(max(milliseconds, 0), _YEARS_MS)
    return datetime.fromtimestamp(inside / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def clock(milliseconds: int) -> str:
    """The time of day in UTC.

    >>> clock(1_700_000_000_000)
    '22:13:20 UTC'
    """
    inside = min(max(milliseconds, 0), _YEARS_MS)
    return datetime.fromtimestamp(inside / 1000, UTC).strftime("%H:%M:%S UTC")


def lasted(seconds: float) -> str:
    """A duration as people say it.

    >>> lasted(90.0), lasted(360.0), lasted(9000.0), lasted(0.25)
    ('90 s', '6 min', '2.5 h', '0.25 s')
    """
    size, unit = next((size, unit) for least, size, unit in _LASTED if seconds >= least)
    number = seconds / size
    if size > 1:
        number = round(number, 1)
    return f"{rounded(number)} {unit}"
