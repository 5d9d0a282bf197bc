"""Times as files write them."""

from datetime import UTC, datetime

YEAR_10000_S = 253_402_300_800


def milliseconds(text: str) -> int:
    """Unix milliseconds of an ISO 8601 time, UTC without a zone, or of Unix seconds.

    >>> milliseconds("2026-01-01 00:00:00"), milliseconds("1767225600.5")
    (1767225600000, 1767225600500)

    Raises:
        ValueError: It is neither.
    """
    try:
        seconds = float(text)
    except ValueError:
        return _iso_milliseconds(text.strip())
    if not abs(seconds) < YEAR_10000_S:
        raise ValueError(f"{text[:80]!r} is beyond the year 9999: write Unix seconds")
    return round(seconds * 1000)


def _iso_milliseconds(text: str) -> int:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text[:80]!r} is neither an ISO 8601 time nor Unix seconds") from error
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return round(time.timestamp() * 1000)
