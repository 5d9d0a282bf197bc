"""The first password is shown once, and a start that is broken off loses it not."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cli.product.first_login import FirstLogin


@asynccontextmanager
async def gateway(password: str) -> AsyncIterator[str]:
    """Lets only `admin` with that password in."""
    wanted = b"authorization: basic " + b64encode(f"admin:{password}".encode()).lower()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).lower()
        status = b"200 OK" if wanted in request else b"401 Unauthorized"
        writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


def contents(directory: Path) -> list[bytes]:
    return [path.read_bytes() for path in directory.iterdir()]


async def test_a_password_that_works_is_given_once_and_then_gone(tmp_path: Path) -> None:
    password = FirstLogin(tmp_path).password()
    async with gateway(password) as url:
        assert await FirstLogin(tmp_path).settle(url) == password
        assert await FirstLogin(tmp_path).settle(url) == ""
    assert FirstLogin(tmp_path).password() == ""
    assert contents(tmp_path) == [b""]


def test_a_start_that_was_broken_off_goes_on_with_the_same_password(tmp_path: Path) -> None:
    first = FirstLogin(tmp_path).password()
    assert len(first) >= 20
    assert FirstLogin(tmp_path).password() == first
    assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] == [0o600]


async def test_where_users_have_been_before_no_password_is_shown(tmp_path: Path) -> None:
    FirstLogin(tmp_path).password()
    async with gateway("another") as url:
        assert await FirstLogin(tmp_path).settle(url) == ""
    assert FirstLogin(tmp_path).password() == ""
