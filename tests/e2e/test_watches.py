"""What all watches of the contract promise alike; one that is added later must keep it too."""

from collections.abc import Mapping
from typing import Any, cast

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor

from services.gateway.routes.events import watches
from services.gateway.transcoding.merging import MergedFrame
from tests.product import Door

AHEAD = 2**62


@pytest.mark.parametrize("topic", sorted(watches()))
async def test_a_cursor_ahead_of_the_log_is_refused_with_what_to_do(door: Door, topic: str) -> None:
    answer = await door.http.get(path_of(watches()[topic]), params={"after_cursor": AHEAD})
    assert (answer.status_code, reason_of(answer.json())) == (400, "CURSOR_AHEAD")
    message = answer.json()["error"]["message"]
    assert f"cursor {AHEAD} is ahead of this log" in message
    assert message.endswith("then watch without a cursor")


@pytest.mark.parametrize("topic", sorted(watches()))
async def test_events_behind_a_place_that_one_log_does_not_reach_are_refused(
    door: Door, topic: str
) -> None:
    place = MergedFrame(topic="", cursors={topic: AHEAD}).place
    headers = {"Last-Event-ID": place}
    answer = await door.http.get("/api/v1/events", params={"topic": topic}, headers=headers)
    assert (answer.status_code, reason_of(answer.json())) == (400, "CURSOR_AHEAD")


def path_of(method: MethodDescriptor) -> str:
    """Where the gateway serves a watch."""
    rule = cast("Any", method.GetOptions()).Extensions[annotations_pb2.http]
    return str(rule.get)


def reason_of(body: Mapping[str, Any]) -> str:
    """The reason of an error."""
    return next(each["reason"] for each in body["error"]["details"] if "reason" in each)
