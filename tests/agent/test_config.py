"""The environment wins over the file, the file over the defaults; a bad file changes nothing."""

from pathlib import Path

import pytest

from mesh.config import ConfigError
from services.agent.config import Settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text('interval_s = 5\ntop_processes = 3\nlabels = ["env=prod", "zone=a"]\n')
    return path


def test_environment_wins_over_file_and_file_over_defaults(file: Path) -> None:
    settings = Settings(
        {"SENSUS_AGENT_CONFIG_FILE": str(file), "SENSUS_AGENT_INTERVAL_S": "7", "SENSUS_HOST": "h"}
    )
    config = settings.config
    assert (config.interval_s, config.top_processes, config.spool_bytes) == (7, 3, 256 << 20)
    assert config.series_labels() == {"job": "node", "instance": "h", "env": "prod", "zone": "a"}


def test_changed_file_is_read_again_and_the_environment_still_wins(file: Path) -> None:
    settings = Settings({"SENSUS_AGENT_CONFIG_FILE": str(file), "SENSUS_TOP_PROCESSES": "9"})
    assert not settings.changed()
    file.write_text("interval_s = 60\ntop_processes = 4\n")
    assert settings.changed()
    fresh = settings.read()
    assert (fresh.interval_s, fresh.top_processes) == (60, 9)
    assert not settings.changed()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("interval_s = 0", "SENSUS_INTERVAL_S: '0' does not fit"),
        ("intervall_s = 5", "intervall_s is no setting"),
        ("interval_s", "is not TOML"),
        ('labels = ["no pair"]', "'no pair' is not name=value"),
        (f'labels = ["a={"x" * (2 << 20)}"]', "bytes, send at most 1048576"),
        ('labels = ["__name__=x"]', "'__name__=x' is not name=value"),
    ],
)
def test_bad_file_is_refused_by_name_and_the_settings_stay(
    file: Path, text: str, message: str
) -> None:
    settings = Settings({"SENSUS_AGENT_CONFIG_FILE": str(file)})
    before = settings.config
    file.write_text(text)
    assert settings.changed()
    with pytest.raises(ConfigError, match=message):
        settings.read()
    assert settings.config is before
    assert not settings.changed()  # it is not refused again until it changes


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"SENSUS_AGENT_CONFIG_FILE: .*none.toml: No such file"):
        Settings({"SENSUS_AGENT_CONFIG_FILE": str(tmp_path / "none.toml")})
