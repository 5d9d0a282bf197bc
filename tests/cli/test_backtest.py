"""`sensus backtest` on a small corpus."""

import csv
from pathlib import Path

import numpy as np
import pytest

from cli.commands.backtest import Score, backtest
from cli.problem import Problem
from services.detector.detectors.first_forest import first_forest


def _corpus(root: Path, rows: list[str], name: str = "web/cpu.csv") -> Path:
    file = root / "corpus" / "data" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(["timestamp,value", *rows]) + "\n")
    return root / "corpus"


def _rows(spike_at: int, count: int = 300) -> list[str]:
    values = np.random.default_rng(0).normal(10, 1, count)
    values[spike_at] += 50
    minutes = [f"2026-11-01 {n // 60:02d}:{n % 60:02d}:00" for n in range(count)]
    return [f"{time},{value:.3f}" for time, value in zip(minutes, values, strict=True)]


def _scores(out: Path, name: str = "web/cpu.csv") -> list[float]:
    with (out / name).open(newline="") as lines:
        return [float(row["anomaly_score"]) for row in csv.DictReader(lines)]


def test_every_row_comes_back_with_its_score(tmp_path: Path) -> None:
    rows = _rows(spike_at=250)
    backtest(corpus=_corpus(tmp_path, rows), out=tmp_path / "out", score=Score.ALERT)
    written = (tmp_path / "out/web/cpu.csv").read_text().splitlines()
    assert written[0] == "timestamp,value,anomaly_score"
    assert [line.rsplit(",", 1)[0] for line in written[1:]] == rows
    scores = _scores(tmp_path / "out")
    assert int(np.argmax(scores)) == 250
    assert scores[:50] == [0.0] * 50


def test_raw_scores_say_how_strange_every_sample_is(tmp_path: Path) -> None:
    backtest(corpus=_corpus(tmp_path, _rows(250)), out=tmp_path / "out", score=Score.RAW)
    scores = _scores(tmp_path / "out")
    assert scores[250] > 0.95
    assert max(scores) < 1


def test_scores_do_not_know_later_rows(tmp_path: Path) -> None:
    backtest(corpus=_corpus(tmp_path / "a", _rows(250)), out=tmp_path / "whole")
    backtest(corpus=_corpus(tmp_path / "b", _rows(250)[:251]), out=tmp_path / "part")
    assert _scores(tmp_path / "part") == _scores(tmp_path / "whole")[:251]


def test_a_value_that_is_missing_or_not_finite_scores_nothing(tmp_path: Path) -> None:
    rows = _rows(250)
    rows[200] = rows[200].split(",")[0] + ","
    rows[201] = rows[201].split(",")[0] + ",inf"
    backtest(corpus=_corpus(tmp_path, rows), out=tmp_path / "out", score=Score.RAW)
    assert _scores(tmp_path / "out")[200:202] == [0.0, 0.0]


def test_a_stored_model_can_be_asked_instead(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(first_forest(7).to_bytes())
    corpus = _corpus(tmp_path, _rows(250))
    backtest(corpus=corpus, out=tmp_path / "out", model=tmp_path / "model")
    backtest(corpus=corpus, out=tmp_path / "fresh")
    assert _scores(tmp_path / "out") != _scores(tmp_path / "fresh")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("yesterday,1", "line 2: 'yesterday' is neither an ISO 8601 time nor Unix seconds"),
        ("2026-11-01 00:00:00,many", "line 2"),
        ("1767225600000,1", "line 2: '1767225600000' is beyond the year 9999: write Unix seconds"),
        ("nan,1", "line 2"),
        (",1", "line 2"),
        ("\n2026-11-01 00:00:00,1\n\n2026-11-01 00:01:00,x", "line 5: .*'x'"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(tmp_path: Path, row: str, reason: str) -> None:
    with pytest.raises(Problem, match=reason):
        backtest(corpus=_corpus(tmp_path, [row]), out=tmp_path / "out")


def test_seconds_of_the_epoch_are_times_too(tmp_path: Path) -> None:
    rows = [f"{1_793_491_200 + 60 * n},{row.split(',')[1]}" for n, row in enumerate(_rows(250))]
    backtest(corpus=_corpus(tmp_path / "a", rows), out=tmp_path / "seconds")
    backtest(corpus=_corpus(tmp_path / "b", _rows(250)), out=tmp_path / "iso")
    assert _scores(tmp_path / "seconds") == _scores(tmp_path / "iso")


def test_a_file_of_a_spreadsheet_is_read(tmp_path: Path) -> None:
    """With a byte order mark, CRLF, a column more, and in no group."""
    file = tmp_path / "corpus/data/cpu.csv"
    file.parent.mkdir(parents=True)
    lines = ["timestamp,value,comment", *(f"{row},x" for row in _rows(250))]
    file.write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    backtest(corpus=tmp_path / "corpus", out=tmp_path / "out")
    assert int(np.argmax(_scores(tmp_path / "out", "cpu.csv"))) == 250


@pytest.mark.parametrize(
    "data",
    [
        "timestamp,value\n2026-11-01 00:00:00,1\n".encode("utf-16"),
        b"",
        b'timestamp,value\n"' + b"x" * 200_000,
    ],
    ids=["utf-16", "empty", "huge field"],
)
def test_a_file_that_is_no_csv_is_named(tmp_path: Path, data: bytes) -> None:
    corpus = _corpus(tmp_path, [])
    (corpus / "data/web/cpu.csv").write_bytes(data)
    with pytest.raises(Problem, match=r"web/cpu\.csv"):
        backtest(corpus=corpus, out=tmp_path / "out")


def test_a_place_that_cannot_be_written_to_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(Problem, match="--out"):
        backtest(corpus=_corpus(tmp_path, _rows(250)), out=tmp_path / "out")


def test_a_corpus_without_files_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"no file like data/<group>/<name>\.csv"):
        backtest(corpus=tmp_path, out=tmp_path / "out")


def test_a_file_that_is_no_model_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"pickle")
    corpus = _corpus(tmp_path, _rows(250))
    with pytest.raises(Problem, match="not a Sensus forest"):
        backtest(corpus=corpus, out=tmp_path / "out", model=tmp_path / "model")


def test_options_of_the_other_way_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="--version and --against are for --selector"):
        backtest(corpus=tmp_path, out=tmp_path / "out", version=2)
    with pytest.raises(Problem, match="--model is for --corpus"):
        backtest(selector="cpu", out=tmp_path / "out", model=tmp_path / "model")


def test_a_budget_that_means_nothing_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="--alerts-per-week"):
        backtest(corpus=tmp_path, out=tmp_path / "out", alerts_per_week=-1.0)
