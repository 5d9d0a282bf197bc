"""`sensus backtest`: recorded series through the engine of the service."""

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer
from rich.progress import track

from cli.corpus import Recording, find_recordings, read_recording, write_scores
from cli.directory import DataDirectory
from cli.labels import Window, read_labels
from cli.options import DEFAULT_DATA_DIR, DataDir
from cli.picture import Picture, draw, require_matplotlib
from cli.problem import Problem
from cli.screen import make_console
from cli.stored_backtest import Question, backtest_stored
from services.detector.detectors.contexts import FEATURES
from services.detector.detectors.engine import Scores
from services.detector.detectors.first_forest import first_forest
from services.detector.detectors.forest import Forest
from services.detector.detectors.replay import replay
from services.detector.detectors.settings import Settings

MOST = 2**31 - 1
"""No installation has had more versions; a larger number is a slip."""


class Score(StrEnum):
    """Which of the two numbers is written."""

    RAW = "raw"
    ALERT = "alert"


def backtest(
    out: Annotated[Path, typer.Option(help="Gets one CSV per series with anomaly_score.")],
    corpus: Annotated[
        Path | None, typer.Option(help="Holds data/<group>/<name>.csv: timestamp,value.")
    ] = None,
    selector: Annotated[
        str | None, typer.Option(help="Instead of --corpus: stored series of the running product.")
    ] = None,
    score: Annotated[
        Score, typer.Option(help="raw: strange within its series; alert: once per episode.")
    ] = Score.ALERT,
    model: Annotated[
        Path | None, typer.Option(help="A forest's artifact instead of that of a fresh install.")
    ] = None,
    alerts_per_week: Annotated[
        float | None, typer.Option(help="Noise budget per series; without it all episodes speak.")
    ] = None,
    days: Annotated[
        float, typer.Option(min=0.01, max=31, help="With --selector: how far back.")
    ] = 7.0,
    version: Annotated[
        int,
        typer.Option(min=0, max=MOST, help="With --selector: of the model; 0 is the active one."),
    ] = 0,
    against: Annotated[
        int | None,
        typer.Option(min=0, max=MOST, help="With --selector: a second version, to compare."),
    ] = None,
    png: Annotated[
        bool, typer.Option("--png", help="A picture beside each CSV; needs sensus[plot].")
    ] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Score recorded series row by row; no row knows a later one.

    A corpus needs no service running. Stored series are scored by the running detector, by any
    version of the model or by two that are compared; nothing is stored.
    A row that was not scored (warm-up, repeated time, no value) gets 0.
    """
    if (corpus is None) == (selector is None):
        raise Problem("name either --corpus or --selector")
    if corpus is not None and (version or against is not None):
        raise Problem("--version and --against are for --selector; a corpus takes --model FILE")
    if selector is not None and model is not None:
        raise Problem("--model is for --corpus; stored series take --version N")
    if png:
        require_matplotlib()
    if corpus is not None:
        _backtest_corpus(corpus, out, score, model, alerts_per_week, png)
        return
    question = Question(
        selector=selector or "",
        days=days,
        versions=[version] if against is None else [version, against],
        raw=score is Score.RAW,
        alerts_per_week=alerts_per_week,
        png=png,
    )
    work = backtest_stored(DataDirectory(data_dir), question, out, make_console())
    typer.echo(f"{asyncio.run(work)} series scored into {out}")


def _backtest_corpus(
    corpus: Path,
    out: Path,
    score: Score,
    model: Path | None,
    alerts_per_week: float | None,
    png: bool,
) -> None:
    settings, files = _settings(alerts_per_week), find_recordings(corpus)
    forest = first_forest() if model is None else _read_model(model)
    labels = read_labels(corpus) if png else {}
    for file in track(files, "scoring", console=make_console(error=True), transient=True):
        recording = read_recording(corpus, file)
        scores = replay(recording.times_ms, recording.values, forest=forest, settings=settings)
        write_scores(out, recording, _chosen(scores, score))
        if png:
            windows = labels.get(recording.place.as_posix(), ())
            draw(_picture(recording, scores, windows), (out / recording.place).with_suffix(".png"))
    typer.echo(f"{len(files)} series scored into {out}")


def _chosen(scores: Scores, score: Score) -> npt.NDArray[np.float64]:
    return np.nan_to_num(scores.raw if score is Score.RAW else scores.alert)


def _picture(recording: Recording, scores: Scores, windows: Sequence[Window]) -> Picture:
    return Picture(
        title=recording.place.as_posix(),
        times_ms=recording.times_ms,
        values=recording.values,
        scores=[("alarms", scores)],
        windows=windows,
    )


def _settings(alerts_per_week: float | None) -> Settings:
    try:
        return Settings(alerts_per_week=alerts_per_week)
    except ValueError as error:
        raise Problem(f"--alerts-per-week: {error}") from error


def _read_model(file: Path) -> Forest:
    try:
        return Forest.from_bytes(file.read_bytes(), names=FEATURES)
    except (OSError, ValueError) as error:
        raise Problem(f"--model {file}: {error}") from error
