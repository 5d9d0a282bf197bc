"""A scored series as a PNG: values in their expected band, raw scores, alarms, labels.

Needs matplotlib, which is asked for only here: `pip install 'sensus[plot]'`. Long series are drawn
by the lowest and the highest value of each pixel column, so that no peak is lost and the cost of a
picture does not grow with them.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from cli.backtest.labels import Window
from cli.problem import Problem

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_INCHES, DOTS_PER_INCH = 14.0, 100
COLUMNS: Final = 1200
"""Pixel columns of the drawing, about; more samples are drawn by column."""

EARLIEST_MS: Final = -62_100_000_000_000
LATEST_MS: Final = 253_370_000_000_000
"""An axis has a margin, and matplotlib knows the years 1 to 9999."""

HIGHEST: Final = 1e300
"""Larger values are drawn as this large."""

COLOURS: Final = ("#c8102e", "#1f5fbf")
"""Of each version's scores and alarms."""

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


class Scored(Protocol):
    """Scores of a series, one entry per sample; NaN where it was not scored."""

    @property
    def raw(self) -> F64:
        """Tail probability, 0 to 1."""

    @property
    def alert(self) -> F64:
        """0 but where an episode begins or rises."""

    @property
    def expected_low(self) -> F64:
        """Lower end of the expected range."""

    @property
    def expected_high(self) -> F64:
        """Upper end of the expected range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What is drawn.

    Attributes:
        scores: Of one version or two, by what its alarms are called; the band is that of the first.
        windows: What people marked.
    """

    title: str
    times_ms: I64
    values: F64
    scores: "Sequence[tuple[str, Scored]]"
    windows: Sequence[Window] = ()


def require_matplotlib() -> None:
    """Says how to get it.

    Raises:
        Problem: It is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise Problem("--png needs matplotlib: pip install 'sensus[plot]'") from error


def draw(picture: Picture, file: Path) -> None:
    """Writes the PNG; makes its directory. Without samples the axes are empty.

    Raises:
        Problem: Its times have no place on an axis of dates.
    """
    times = np.append(picture.times_ms, np.array(picture.windows, dtype=np.int64))
    if times.min(initial=0) < EARLIEST_MS or times.max(initial=0) > LATEST_MS:
        raise Problem(f"--png: {picture.title} has times or labels before the year 2 or after 9998")
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its fonts fit in no read-only home
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_INCHES, 7.0), dpi=DOTS_PER_INCH, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(3, sharex=True, height_ratios=(3, 1, 1))
    figure.suptitle(picture.title, fontsize=11)
    order = np.argsort(picture.times_ms, kind="stable")
    picture = replace(picture, values=_drawable(picture.values))
    _draw_values(axes[0], picture, order)
    for colour, (name, scores) in zip(COLOURS, picture.scores, strict=False):
        _draw_raw(axes[1], picture, order, scores.raw, colour)
        _draw_alarms(axes, picture, scores.alert, colour, name)
    _finish(axes, picture.windows)
    file.parent.mkdir(parents=True, exist_ok=True)
    canvas.print_png(file)


def _draw_values(axes: "Axes", picture: Picture, order: I64) -> None:
    times, (values,) = thinned(picture.times_ms[order], picture.values[order])
    if picture.scores:
        first = picture.scores[0][1]
        band_times, (low, high) = thinned(
            picture.times_ms[order], first.expected_low[order], first.expected_high[order]
        )
        axes.fill_between(
            _dates(band_times), low, high, color="#7a9e7e", alpha=0.35, lw=0, label="expected"
        )
        _hold_scale(axes, values)
    axes.plot(_dates(times), values, color="#333333", lw=0.8, label="value")


def _hold_scale(axes: "Axes", values: F64) -> None:
    """A band that is wide while little is known must not flatten the values."""
    finite = values[np.isfinite(values)]
    if len(finite):
        margin = 0.15 * float(np.ptp(finite)) or max(abs(float(finite[0])) * 0.1, 1.0)
        axes.set_ylim(float(finite.min()) - margin, float(finite.max()) + margin)


def _draw_raw(axes: "Axes", picture: Picture, order: I64, raw: F64, colour: str) -> None:
    times, (scores,) = thinned(picture.times_ms[order], raw[order])
    axes.plot(_dates(times), scores, color=colour, lw=0.7)


def _draw_alarms(
    axes: "Sequence[Axes]", picture: Picture, alert: F64, colour: str, name: str
) -> None:
    raised = np.flatnonzero(alert > 0.0)
    times = _dates(picture.times_ms[raised])
    axes[2].vlines(times, 0.0, alert[raised], color=colour, lw=1.2)
    axes[0].plot(times, picture.values[raised], "v", color=colour, ms=6, label=name)


def _finish(axes: "Sequence[Axes]", windows: Sequence[Window]) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    for each in axes:
        for number, (start, end) in enumerate(windows):
            edges = _dates(np.array([start, end]))
            label = "labelled" if number == 0 else None
            each.axvspan(edges[0], edges[1], color="#f2b134", alpha=0.25, lw=0, label=label)
        each.margins(x=0.01)
        each.grid(alpha=0.2)
    for each, title in zip(axes[1:], ("raw score", "alert score"), strict=True):
        each.set_ylim(0.0, 1.02)
        each.set_ylabel(title)
    axes[0].set_ylabel("value")
    axes[0].legend(loc="upper left", fontsize=8, ncols=5)
    locator = AutoDateLocator()
    axes[2].xaxis.set_major_locator(locator)
    axes[2].xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes[2].set_xlabel("time, UTC")


def thinned(times_ms: I64, *columns: F64) -> tuple[I64, tuple[F64, ...]]:
    """At most four samples of each pixel column: those where a column of values is lowest, highest.

    Args:
        times_ms: In order.
        columns: One entry per time; NaN where there is none.

    >>> times, (values,) = thinned(np.arange(100_000), np.eye(1, 100_000, 7)[0])
    >>> len(times) < 5000, float(values.max())
    (True, 1.0)
    """
    if len(times_ms) <= 2 * COLUMNS:
        return times_ms, columns
    starts = np.linspace(0, len(times_ms), COLUMNS, endpoint=False).astype(np.int64)
    kept = np.unique(np.concatenate([_extremes(column, starts) for column in columns]))
    return times_ms[kept], tuple(column[kept] for column in columns)


def _extremes(column: F64, starts: I64) -> I64:
    ends = np.append(starts[1:], len(column))
    lowest, highest = np.where(np.isnan(column), np.inf, column), np.nan_to_num(column, nan=-np.inf)
    places = [
        (start + int(part(side[start:end])))
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        for part, side in ((np.argmin, lowest), (np.argmax, highest))
    ]
    return np.array(places, dtype=np.int64)


def _drawable(values: F64) -> F64:
    """Nothing that the margins of a scale would overflow by."""
    return np.where(np.isfinite(values), np.clip(values, -HIGHEST, HIGHEST), np.nan)


def _dates(times_ms: I64) -> "npt.NDArray[Any]":
    return times_ms.astype("datetime64[ms]")
