"""`sensus backtest`: recorded series through the engine of the service."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.backtest.output import Output
from cli.backtest.picture import require_matplotlib
from cli.backtest.recorded import backtest_recorded
from cli.backtest.stored import Question, backtest_stored
from cli.options import DEFAULT_DATA_DIR, DataDir
from cli.problem import Problem
from cli.product.directory import DataDirectory
from cli.render.screen import make_console
from services.detector.detectors.settings import Settings

MOST = 2**31 - 1
"""No installation has had more versions; a larger number is a slip."""


class Score(StrEnum):
    """Which of the two numbers is written."""

    RAW = "raw"
    ALERT = "alert"


Out = Annotated[Path, typer.Option(help="Gets one CSV per series with anomaly_score.")]
Corpus = Annotated[
    Path | None, typer.Option(help="Holds data/<group>/<name>.csv: timestamp,value.")
]
SelectorOption = Annotated[
    str | None, typer.Option(help="Instead of --corpus: stored series of the running product.")
]
Written = Annotated[
    Score, typer.Option(help="raw: strange within its series; alert: once per episode.")
]
Model = Annotated[
    Path | None, typer.Option(help="A forest's artifact instead of that of a fresh install.")
]
Budget = Annotated[
    float | None, typer.Option(help="Noise budget per series; without it all episodes speak.")
]
Days = Annotated[float, typer.Option(min=0.01, max=31, help="With --selector: how far back.")]
Version = Annotated[
    int,
    typer.Option(min=0, max=MOST, help="With --selector: of the model; 0 is the active one."),
]
Against = Annotated[
    int | None,
    typer.Option(min=0, max=MOST, help="With --selector: a second version, to compare."),
]
Png = Annotated[bool, typer.Option("--png", help="A picture beside each CSV; needs sensus[plot].")]


def backtest(
    out: Out,
    corpus: Corpus = None,
    selector: SelectorOption = None,
    score: Written = Score.ALERT,
    model: Model = None,
    alerts_per_week: Budget = None,
    days: Days = 7.0,
    version: Version = 0,
    against: Against = None,
    png: Png = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Score recorded series row by row; no row knows a later one.

    A corpus needs no service running. Stored series are scored by the running detector, by any
    version of the model or by two that are compared; nothing is stored.
    A row that was not scored (warm-up, repeated time, no value) gets 0.
    """
    if png:
        require_matplotlib()
    output = Output(out=out, raw=score is Score.RAW, png=png)
    if corpus is not None and selector is None:
        if version or against is not None:
            raise Problem("--version and --against are for --selector; a corpus takes --model FILE")
        settings = _settings(alerts_per_week)
        count = backtest_recorded(corpus, model, settings, output, make_console(error=True))
    elif selector is not None and corpus is None:
        if model is not None:
            raise Problem("--model is for --corpus; stored series take --version N")
        versions = [version] if against is None else [version, against]
        question = Question(
            selector=selector, days=days, versions=versions, alerts_per_week=alerts_per_week
        )
        work = backtest_stored(DataDirectory(data_dir), question, output, make_console())
        count = asyncio.run(work)
    else:
        raise Problem("name either --corpus or --selector")
    typer.echo(f"{count} series scored into {out}")


def _settings(alerts_per_week: float | None) -> Settings:
    try:
        return Settings(alerts_per_week=alerts_per_week)
    except ValueError as error:
        raise Problem(f"--alerts-per-week: {error}") from error
