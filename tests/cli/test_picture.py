"""Pictures of scored series, through `sensus backtest --png`."""

import builtins
import doctest
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cli.backtest.picture
from cli.backtest.labels import read_labels
from cli.backtest.picture import COLUMNS, thinned
from cli.commands.backtest import backtest
from cli.problem import Problem
from tests.cli.test_backtest import _corpus, _rows

LABELLED = np.array([0xF2, 0xB1, 0x34]) / 255


def _drawn(directory: Path, *, windows: list[list[str]] | None = None, **options: Any) -> Any:
    import matplotlib.image

    corpus = _corpus(directory, _rows(spike_at=250))
    if windows is not None:
        (corpus / "labels.json").write_text(json.dumps({"web/cpu.csv": {"windows": windows}}))
    backtest(corpus=corpus, out=directory / "out", png=True, **options)
    return matplotlib.image.imread(directory / "out/web/cpu.png")[..., :3]


def test_each_series_gets_a_picture_beside_its_scores(tmp_path: Path) -> None:
    picture = _drawn(tmp_path)
    assert (tmp_path / "out/web/cpu.csv").exists()
    assert picture.shape == (700, 1400, 3)
    assert _share_of(picture, np.array([0xC8, 0x10, 0x2E]) / 255) > 0.0002


@pytest.mark.parametrize("year", ["0001", "9999"])
def test_times_without_a_place_on_an_axis_are_refused(tmp_path: Path, year: str) -> None:
    rows = [row.replace("2026", year) for row in _rows(250)]
    with pytest.raises(Problem, match="before the year 2 or after 9998"):
        backtest(corpus=_corpus(tmp_path, rows), out=tmp_path / "out", png=True)
    with pytest.raises(Problem, match="before the year 2 or after 9998"):
        _drawn(tmp_path / "a", windows=[[f"{year}-01-01", f"{year}-12-31"]])


def test_what_people_marked_is_shown(tmp_path: Path) -> None:
    window = [["2026-11-01 01:00:00", "2026-11-01 02:00:00"]]
    plain, marked = _drawn(tmp_path / "a"), _drawn(tmp_path / "b", windows=window)
    tint = 1 - 0.25 * (1 - LABELLED)
    assert _share_of(plain, tint) == 0.0
    assert 0.05 < _share_of(marked, tint) < 0.3


def test_labels_in_nabs_own_layout_are_understood(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path, _rows(250))
    (corpus / "labels").mkdir()
    window = [["2026-11-01 01:00:00", "2026-11-01 02:00:00"]]
    (corpus / "labels/combined_windows.json").write_text(json.dumps({"web/cpu.csv": window}))
    assert read_labels(corpus) == {"web/cpu.csv": [(1793494800000, 1793498400000)]}


@pytest.mark.parametrize(
    "labels", ["[]", "{", '{"a": 1}', '{"a": {"windows": [["soon", "later"]]}}']
)
def test_labels_that_cannot_be_read_name_their_file(tmp_path: Path, labels: str) -> None:
    corpus = _corpus(tmp_path, _rows(250))
    (corpus / "labels.json").write_text(labels)
    with pytest.raises(Problem, match=r"labels\.json: "):
        backtest(corpus=corpus, out=tmp_path / "out", png=True)


def test_a_series_without_any_value_has_a_picture_too(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path, [f"2026-11-01 00:0{n}:00," for n in range(5)])
    backtest(corpus=corpus, out=tmp_path / "out", png=True)
    assert (tmp_path / "out/web/cpu.png").read_bytes().startswith(b"\x89PNG")


def test_values_without_end_can_be_drawn(tmp_path: Path) -> None:
    rows = _rows(250)
    for place, value in enumerate(("1e308", "-1e308", "inf", "nan"), start=100):
        rows[place] = f"{rows[place].split(',')[0]},{value}"
    backtest(corpus=_corpus(tmp_path, rows), out=tmp_path / "out", png=True)
    assert (tmp_path / "out/web/cpu.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_it_is_told_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(Problem, match=r"pip install 'sensus\[plot\]'"):
        backtest(corpus=_corpus(tmp_path, _rows(250)), out=tmp_path / "out", png=True)
    assert not (tmp_path / "out").exists()


def test_a_long_series_is_thinned_without_losing_a_peak() -> None:
    values = np.random.default_rng(0).normal(size=500_000)
    values[123_457], values[400_001], values[7] = 50.0, -50.0, np.nan
    times, (kept,) = thinned(np.arange(len(values)), values)
    assert len(times) <= 2 * COLUMNS
    assert (np.diff(times) > 0).all()
    assert np.nanmax(kept) == 50.0
    assert np.nanmin(kept) == -50.0
    assert doctest.testmod(cli.backtest.picture).failed == 0


def _share_of(picture: Any, colour: Any) -> float:
    return float((np.abs(picture - colour).max(axis=2) < 0.02).mean())
