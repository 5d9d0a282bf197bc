"""What strangers may make the gateway log is bounded, and holds none of their secrets."""

import logging
from collections.abc import Iterator

import pytest

from mesh.telemetry.sampling import Sampling
from tests.abuse.gateway.conftest import wire
from tests.gateway.conftest import Running

REQUESTS = 300


class Written(logging.Handler):
    """Keeps the lines that would be written."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Everything of the record, as a formatter could show it."""
        self.lines.append(str(record.__dict__))


@pytest.fixture
def written() -> Iterator[Written]:
    """The lines that get past what bounds the logs of every process."""
    handler = Written()
    handler.addFilter(Sampling())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler
    root.setLevel(level)
    root.removeHandler(handler)


@pytest.mark.parametrize(
    "head",
    [
        "GET /" + "%01" * 160 + " HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /api/v1/alerts HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret-one\r\n\r\n",
        "GET /api/v1/alerts HTTP/1.1\r\nHost: a\r\nX-API-Key: sk_secret_one\r\n\r\n",
        "POST /api/v1/auth/token HTTP/1.1\r\nHost: a\r\nAuthorization: Basic c2VjcmV0\r\n\r\n",
        "WHATEVER /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
async def test_repeated_refusals_are_a_handful_of_lines(
    running: Running, written: Written, head: str
) -> None:
    port = running.http.base_url.port
    assert port
    async with wire(port) as stranger:
        for _ in range(REQUESTS):
            await stranger.send(head.encode())
            assert (await stranger.answer())[0] >= 400
    assert 1 <= len(written.lines) <= 60
    text = "".join(written.lines)
    assert max(map(len, written.lines)) < 2500
    assert "secret" not in text
    assert "c2VjcmV0" not in text


async def test_what_is_no_http_is_not_logged_line_by_line(
    running: Running, written: Written
) -> None:
    port = running.http.base_url.port
    assert port
    for _ in range(REQUESTS):
        async with wire(port) as stranger:
            await stranger.send(b"\x16\x03\x01nonsense\r\n\r\n")
            assert (await stranger.answer())[0] == 400
    assert len(written.lines) <= 60
