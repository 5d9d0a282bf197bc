"""What `sensus up` prints: short where it can be, and typed as it works here."""

import sys

import pytest

from cli.commands import up
from cli.commands.up import metrics_text


def test_ports_in_a_row_are_told_as_one() -> None:
    row = metrics_text([9461, 9462, 9463])
    assert row == "http://127.0.0.1:9461/metrics, and so on to port 9463, one per process"
    apart = metrics_text([9461, 9470])
    assert apart == "http://127.0.0.1:9461/metrics  http://127.0.0.1:9470/metrics"
    assert metrics_text([9461]) == "http://127.0.0.1:9461/metrics"


@pytest.mark.parametrize(
    ("called", "found", "typed"),
    [
        (".venv/bin/sensus", None, ".venv/bin/sensus"),
        ("/usr/bin/sensus", "/usr/bin/sensus", "sensus"),
        ("-c", None, "sensus"),
    ],
)
def test_the_next_commands_work_where_the_venv_is_not_active(
    monkeypatch: pytest.MonkeyPatch, called: str, found: str | None, typed: str
) -> None:
    monkeypatch.setattr(sys, "argv", [called, "up"])
    monkeypatch.setattr(up.shutil, "which", lambda name: found)
    assert up._typed() == typed
