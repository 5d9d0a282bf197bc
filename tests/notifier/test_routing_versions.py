"""Routings as they are put: kept in versions, stale and excessive ones refused."""

import json
from typing import Any

import grpc
import pytest

from sensus.notifier.v1 import notifier_service_pb2
from tests.notifier.conftest import Running


async def test_routing_is_kept_in_versions_and_a_stale_etag_is_refused(
    notifier: Running, sql: Any
) -> None:
    text = "route: {receiver: r}\nreceivers: [{name: r}]\n"
    first = await notifier.route(text)
    assert (first.routing.version, (await notifier.route(text)).routing.version) == (1, 1)
    assert first.warnings == ["r has no integrations: it reaches nobody"]
    stub = notifier.stub
    request = notifier_service_pb2.PutRoutingRequest(yaml=text + "# two\n", etag=first.routing.etag)
    second = await stub.PutRouting(request)
    assert second.routing.version == 2
    assert second.routing.author == "user:tester"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.PutRouting(request)
    assert refused.value.code() == grpc.StatusCode.ABORTED
    dry = notifier_service_pb2.PutRoutingRequest(yaml=text + "# three\n", dry_run=True)
    assert (await stub.PutRouting(dry)).routing.version == 0
    listed = await stub.ListRoutingVersions(
        notifier_service_pb2.ListRoutingVersionsRequest(page_size=1)
    )
    assert [each.version for each in listed.versions] == [2]
    old = await stub.GetRouting(notifier_service_pb2.GetRoutingRequest(version=1))
    assert old.routing.yaml == text
    entries = await sql.fetch("SELECT actor, action, subject FROM notifier.audit ORDER BY entry_id")
    assert [tuple(each) for each in entries] == [
        ("user:tester", "routing.put", "routing@1"),
        ("user:tester", "routing.put", "routing@2"),
    ]


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (
            "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
            "is there a loop?",
        ),
        ("{{ 'a' * 1000000000 }}", "memory"),
        ("{% for a in range(9999) %}{{ 'x' * 100 }}{% endfor %}", "more than 65536 characters"),
        ("{{ ''.__class__ }}", ""),
        ("{% if %}", "line 1"),
        ("x" * 10_000_000, "must be at most"),
    ],
    ids=["loop", "memory", "output", "attribute", "syntax", "size"],
)
async def test_template_beyond_its_limits_is_refused(
    notifier: Running, template: str, told: str
) -> None:
    routing = {
        "route": {"receiver": "r"},
        "receivers": [
            {"name": "r", "webhook_configs": [{"url": "https://example.com", "text": template}]}
        ],
    }
    if told == "":
        assert (await notifier.route(json.dumps(routing))).routing.version == 1
        return
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await notifier.route(json.dumps(routing))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert told.removeprefix("must ") in str(refused.value.details())
    fine = routing | {"receivers": [{"name": "r"}]}
    assert (await notifier.route(json.dumps(fine))).routing.version == 1
