"""A corpus of recordings through the engine of the service, which need not run."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from cli.backtest.corpus import Recording, find_recordings, read_recording, write_scores
from cli.backtest.labels import Window, read_labels
from cli.backtest.output import Output
from cli.backtest.picture import Picture, draw
from cli.problem import Problem
from services.detector.detectors.contexts import FEATURES
from services.detector.detectors.engine import Scores
from services.detector.detectors.first_forest import first_forest
from services.detector.detectors.forest import Forest
from services.detector.detectors.replay import replay
from services.detector.detectors.settings import Settings


def backtest_recorded(
    corpus: Path, model: Path | None, settings: Settings, output: Output, console: Console
) -> int:
    """Scores every recording row by row and writes it; how many there were.

    Args:
        corpus: holds `data/<group>/<name>.csv`.
        model: a forest's artifact; None for that of a fresh install.
        settings: of the engine.
        output: what is written.
        console: shows the progress.

    Raises:
        Problem: A recording, its labels or the model cannot be read, or a result not be written.
    """
    files = find_recordings(corpus)
    forest = first_forest() if model is None else _read_model(model)
    labels = read_labels(corpus) if output.png else {}
    for file in track(files, "scoring", console=console, transient=True):
        recording = read_recording(corpus, file)
        scores = replay(recording.times_ms, recording.values, forest=forest, settings=settings)
        write_scores(output.out, recording, output.column(scores))
        if output.png:
            windows = labels.get(recording.place.as_posix(), ())
            target = (output.out / recording.place).with_suffix(".png")
            draw(_picture(recording, scores, windows), target)
    return len(files)


def _picture(recording: Recording, scores: Scores, windows: Sequence[Window]) -> Picture:
    return Picture(
        title=recording.place.as_posix(),
        times_ms=recording.times_ms,
        values=recording.values,
        scores=[("alarms", scores)],
        windows=windows,
    )


def _read_model(file: Path) -> Forest:
    try:
        return Forest.from_bytes(file.read_bytes(), names=FEATURES)
    except (OSError, ValueError) as error:
        raise Problem(f"--model {file}: {error}") from error
