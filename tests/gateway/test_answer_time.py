"""A gateway that waits for something that hangs says so in time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from mesh.drain import Drain
from services.gateway.http.admission import Admission
from services.gateway.http.routing import Routes
from services.gateway.http.server import HttpServer
from services.gateway.middleware.answer_time import wait_longer
from services.gateway.middleware.error_handling import ErrorMiddleware
from services.gateway.middleware.observation import ObservationMiddleware
from tests.gateway.conftest import Start
from tests.gateway.scripted import Script

WITHIN_S = 1.0


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """An application behind the bound, on a port."""
    server = HttpServer(
        ObservationMiddleware(ErrorMiddleware(app, within_s=WITHIN_S, max_bytes=1024), Routes([])),
        host="127.0.0.1",
        port=0,
        admission=Admission(most=10, most_per_address=10, proxies=()),
        drain=Drain(),
        leave=lambda: None,
    )
    url = f"http://127.0.0.1:{await server.start()}"
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as http:
        yield http
    await server.stop(0, 1)


async def test_work_that_hangs_and_cannot_be_cancelled_is_503() -> None:
    released = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await released.wait()
        finally:
            await released.wait()  # as a query to a frozen database does
            await Response("late")(scope, receive, send)

    async with served(app) as http:
        response = await asyncio.wait_for(http.get("/"), 60)
        released.set()
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "2"
    assert response.json()["error"]["details"][0]["reason"] == "ANSWER_TOO_LATE"


async def test_a_slow_sender_has_all_the_time_it_needs() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await Response(await Request(scope, receive).body())(scope, receive, send)

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(4):
            await asyncio.sleep(WITHIN_S / 2)
            yield b"x"

    async with served(app) as http:
        assert (await http.post("/", content=slow())).text == "xxxx"


async def test_a_stream_may_go_on_after_its_first_byte() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for more in (True, True, False):
            await asyncio.sleep(WITHIN_S)
            await send({"type": "http.response.body", "body": b"y", "more_body": more})

    async with served(app) as http:
        assert (await http.get("/")).text == "yyy"


async def test_an_error_of_the_work_is_still_mapped() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("secret")

    async with served(app) as http:
        response = await http.get("/")
    assert response.status_code == 500
    assert "secret" not in response.text


async def test_an_endpoint_that_says_so_may_take_longer() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(WITHIN_S / 3)
        wait_longer(scope, 4 * WITHIN_S)
        await asyncio.sleep(2.5 * WITHIN_S)
        await Response("in time")(scope, receive, send)

    async with served(app) as http:
        assert (await http.get("/")).text == "in time"


async def test_an_endpoint_that_takes_even_longer_than_it_said_is_503() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        wait_longer(scope, 2 * WITHIN_S)
        await asyncio.Event().wait()

    async with served(app) as http:
        response = await asyncio.wait_for(http.get("/"), 60)
    assert response.status_code == 503


@pytest.mark.parametrize(
    ("path", "status"), [("models/3:evaluate", 200), ("models/3:activate", 503)]
)
async def test_the_contract_says_which_answers_take_longer(
    start: Start, script: Script, path: str, status: int
) -> None:
    async def slowly(request: Any) -> Any:
        await asyncio.sleep(3 * WITHIN_S)

    script.answers |= {"EvaluateModel": slowly, "ActivateModelVersion": slowly}
    async with start(answer_within_s=WITHIN_S) as running, running.client("admin") as http:
        response = await http.post(f"/api/v1/{path}", json={})
    assert response.status_code == status


async def test_a_notice_in_many_parts_may_take_as_long_as_each_part(
    start: Start, script: Script
) -> None:
    async def slowly(request: Any) -> Any:
        await asyncio.sleep(1.5)

    script.answers["WriteAlerts"] = slowly
    notice = [{"labels": {"alertname": "A", "n": str(n)}} for n in range(2500)]
    async with start(answer_within_s=4) as running, running.client("admin") as http:
        response = await http.post("/api/v1/alerts", json=notice)
    assert (response.status_code, script.count("WriteAlerts")) == (200, 3)
