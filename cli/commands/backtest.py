"""`sensus backtest`: recorded series through the engine of the service."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer
from rich.progress import track

from cli.corpus import Recording, find_recordings, read_recording, write_scores
from cli.problem import Problem
from cli.screen import make_console
from services.detector.detectors.contexts import FEATURES
from services.detector.detectors.first_forest import first_forest
from services.detector.detectors.forest import Forest
from services.detector.detectors.replay import replay
from services.detector.detectors.settings import Settings


class Score(StrEnum):
    """Which of the two numbers is written."""

    RAW = "raw"
    ALERT = "alert"


def backtest(
    corpus: Annotated[Path, typer.Option(help="Holds data/<group>/<name>.csv: timestamp,value.")],
    out: Annotated[Path, typer.Option(help="Gets <group>/<name>.csv with anomaly_score.")],
    score: Annotated[
        Score, typer.Option(help="raw: strange within its series; alert: once per episode.")
    ] = Score.ALERT,
    model: Annotated[
        Path | None, typer.Option(help="A forest's artifact instead of that of a fresh install.")
    ] = None,
    alerts_per_week: Annotated[
        float | None, typer.Option(help="Noise budget per series; without it all episodes speak.")
    ] = None,
) -> None:
    """Score recorded series row by row, no service running; no row knows a later one.

    A row that was not scored (warm-up, repeated time, no value) gets 0.
    """
    settings, files = _settings(alerts_per_week), find_recordings(corpus)
    forest = first_forest() if model is None else _read_model(model)
    for file in track(files, "scoring", console=make_console(error=True), transient=True):
        recording = read_recording(corpus, file)
        write_scores(out, recording, _scores(recording, forest, settings, score))
    typer.echo(f"{len(files)} series scored into {out}")


def _scores(
    recording: Recording, forest: Forest, settings: Settings, score: Score
) -> npt.NDArray[np.float64]:
    scores = replay(recording.times_ms, recording.values, forest=forest, settings=settings)
    return np.nan_to_num(scores.raw if score is Score.RAW else scores.alert)


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
