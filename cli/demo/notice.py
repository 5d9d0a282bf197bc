"""The incident of an alert, and what its receivers got."""

import asyncio
from typing import Any

import grpc

from cli.clients import incidents, notices
from cli.demo.receivers import Receivers
from cli.problem import Problem
from sensus.incidents.v1 import incidents_service_pb2 as pb
from sensus.notifier.v1 import notifier_service_pb2 as notifier_pb

_WITHIN_S = 60.0
_INTERVAL_S = 0.25
_INCIDENTS_SEEN = 100


async def route_to(channel: grpc.aio.Channel, receivers: Receivers) -> None:
    """From now on the receivers hear of every incident."""
    request = notifier_pb.PutRoutingRequest(yaml=receivers.routing())
    await notices.ask(channel, "PutRouting", request)


async def incident_of(channel: grpc.aio.Channel, alert_id: str) -> pb.GetIncidentResponse:
    """The incident that the alert is in; Problem when it comes into none."""
    try:
        async with asyncio.timeout(_WITHIN_S):
            while True:
                for found in await incidents.listed(channel, (), "", "", _INCIDENTS_SEEN):
                    if await _has(channel, found.incident_id, alert_id):
                        request = pb.GetIncidentRequest(incident_id=found.incident_id)
                        answer: pb.GetIncidentResponse = await incidents.ask(
                            channel, "GetIncident", request
                        )
                        return answer
                await asyncio.sleep(_INTERVAL_S)
    except TimeoutError:
        raise Problem(f"alert {alert_id} came into no incident within {_WITHIN_S:g} s") from None


async def received_about(receivers: Receivers, incident_id: str) -> tuple[dict[str, Any], str]:
    """The post that the webhook got of an incident, and the subject of the mail."""
    try:
        async with asyncio.timeout(_WITHIN_S):
            while True:
                receivers.grown.clear()
                posts = [each for each in receivers.posts if _is_of(each, incident_id)]
                mails = [each for each in receivers.mails if incident_id in each["References"]]
                if posts and mails:
                    return posts[0], str(mails[0]["Subject"])
                await receivers.grown.wait()
    except TimeoutError:
        message = f"{len(receivers.posts)} posts and {len(receivers.mails)} mails came, none of"
        raise Problem(f"{message} incident {incident_id} within {_WITHIN_S:g} s") from None


async def _has(channel: grpc.aio.Channel, incident_id: str, alert_id: str) -> bool:
    request = pb.ListMembersRequest(incident_id=incident_id, page_size=1000)
    members = (await incidents.ask(channel, "ListMembers", request)).members
    return any(each.member_id == alert_id for each in members)


def _is_of(post: dict[str, Any], incident_id: str) -> bool:
    return bool(post["incident"]) and post["incident"]["incident_id"] == incident_id
