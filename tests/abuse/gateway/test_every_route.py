"""No request of any route is a fault of ours: no 5xx, no INTERNAL, whatever a sender writes."""

from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.abuse.gateway.extremes import requests
from tests.gateway.conftest import Running
from tests.gateway.scripted import Script
from tests.properties import examples

FOLLOWED = (":watch", ":explain", ":train", "/events")
"""Streams that wait for what comes; their requests are read like all others."""


@pytest.fixture
async def document(running: Running) -> dict[str, Any]:
    """The OpenAPI document, which names every route and parameter."""
    found: dict[str, Any] = (await running.http.get("/openapi.json")).json()
    return found


async def test_a_loop_that_stood_still_for_a_minute_refuses_nobody(
    running: Running, admin: httpx.AsyncClient
) -> None:
    running.gateway.keeper.standings._refreshed_at_s -= 60
    assert (await admin.get("/api/v1/users")).status_code == 200


@examples(60, HealthCheck.data_too_large, HealthCheck.filter_too_much)
@given(data=st.data())
async def test_no_extreme_is_a_fault_of_ours(
    running: Running,
    admin: httpx.AsyncClient,
    script: Script,
    document: dict[str, Any],
    data: Any,
) -> None:
    endpoints = [each for each in running.gateway.endpoints if not each.path.endswith(FOLLOWED)]
    endpoint = data.draw(st.sampled_from(endpoints), label="endpoint")
    request = data.draw(requests(endpoint, document), label="request")
    headers = {name: value.encode("latin-1") for name, value in request["headers"].items()}
    response = await admin.request(
        endpoint.method, request["url"], content=request["content"] or None, headers=headers
    )
    assert response.status_code < 500, (response.status_code, response.text)
