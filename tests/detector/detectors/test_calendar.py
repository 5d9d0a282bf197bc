"""Local days: time zones, summer time, public holidays."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from mesh.config import ConfigError
from services.detector.config import Config
from services.detector.detectors.calendar import Calendar
from services.detector.detectors.engine import Settings
from tests.detector.detectors import made

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def ms(*moment: int) -> int:
    """Milliseconds of a moment in UTC."""
    return round(datetime(*moment, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type]


def shown(calendar: Calendar, time_ms: int) -> datetime:
    """What the clock on the wall shows."""
    (local,) = calendar.local_ms(np.array([time_ms])).tolist()
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=local)


@pytest.mark.parametrize("time_zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu"])
def test_a_holiday_is_a_sunday_from_midnight_to_midnight(time_zone: str) -> None:
    plain, festive = Calendar(time_zone), Calendar(time_zone, "DE")
    (shown_ms,) = plain.local_ms(np.array([ms(2026, 10, 3)])).tolist()
    midnight = 2 * ms(2026, 10, 3) - shown_ms
    assert shown(plain, midnight).strftime("%a %H:%M") == "Sat 00:00"
    assert shown(festive, midnight - 1).strftime("%a %H:%M") == "Fri 23:59"
    assert shown(festive, midnight).strftime("%a %H:%M") == "Sun 00:00"
    assert shown(festive, midnight + DAY_MS - 1).strftime("%a %H:%M") == "Sun 23:59"
    assert shown(festive, midnight + 3 * DAY_MS).strftime("%a %H:%M") == "Tue 00:00"


def test_a_part_of_a_country_has_holidays_of_its_own() -> None:
    corpus_christi = ms(2026, 6, 4, 12)
    assert shown(Calendar("UTC", "DE"), corpus_christi).strftime("%a") == "Thu"
    assert shown(Calendar("UTC", "DE-BY"), corpus_christi).strftime("%a") == "Sun"


@pytest.mark.parametrize("year", [31, 1969, 2101, 9954])
def test_years_that_nobody_knows_the_holidays_of_have_none(year: int) -> None:
    christmas = ms(year, 12, 25, 12)
    assert shown(Calendar("UTC", "DE"), christmas) == shown(Calendar("UTC"), christmas)


@pytest.mark.parametrize("time_ms", [-(2**62), 2**62])
def test_times_without_a_date_stay_as_they_are(time_ms: int) -> None:
    assert Calendar("Europe/Berlin", "DE").local_ms(np.array([time_ms])).tolist() == [time_ms]


@pytest.mark.parametrize("place", ["XX", "DE-", "DE-XX", "Bavaria", "DE-BY-1", "-"])
def test_a_place_that_nobody_knows_is_refused_by_the_name_of_the_setting(place: str) -> None:
    with pytest.raises(
        ConfigError, match=r"SENSUS_DETECTOR_HOLIDAYS: no holidays of '.*' are known"
    ):
        Config(
            postgres_dsn="",
            auth_jwks_file=Path("jwks.json"),
            auth_key_file=Path("detector.pem"),
            holidays=place,
        )


def test_days_and_weeks_begin_by_the_clock_on_the_wall() -> None:
    """Two hours east of Greenwich a series scores as it would in UTC two hours later."""
    rows, times, values = made.stream()
    there = made.engine(3, Settings(warm_up=20, time_zone="Etc/GMT-2"))
    later = made.engine(3).process(rows, times + 2 * HOUR_MS, values)
    np.testing.assert_array_equal(there.process(rows, times, values).raw, later.raw)
    assert not np.array_equal(made.engine(3).process(rows, times, values).raw, later.raw)
