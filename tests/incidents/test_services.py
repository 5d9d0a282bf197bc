"""ListServices: what each service has open, the worst first."""

import base64
from pathlib import Path
from typing import Any

import grpc
import msgspec

from cli.embedded.postgres import EmbeddedPostgres
from cli.embedded.redis import EmbeddedRedis
from sensus.incidents.v1 import incidents_service_pb2 as incidents
from sensus.topology.v1 import topology_service_pb2 as pb
from sensus.topology.v1.topology_service_pb2_grpc import add_TopologyServiceServicer_to_server
from tests.databases import database
from tests.incidents.harness import RESOLVED, Running, refused, running, until
from tests.incidents.test_callgraph import Topology, edge
from tests.ingest.harness import alert

_ANOMALY = """
INSERT INTO incidents.member (member_id, incident_id, joined_no, kind, fingerprint, labels,
    severity, start_ms, end_ms, reason, service) VALUES ($1, '', 0, 2, $1, '{}', 3, $2, $3, 1, $4)
"""
DAY_MS = 86_400_000


async def pages(service: Running, **asked: Any) -> list[incidents.ServiceStatus]:
    """All pages, each of two."""
    request, found = incidents.ListServicesRequest(page_size=2, **asked), []
    while True:
        page = await service.stub.ListServices(request)
        assert len(page.services) <= 2
        found += page.services
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


async def names(service: Running, **asked: Any) -> list[str]:
    return [each.service for each in await pages(service, **asked)]


async def fires(service: Running, env: str, *places: tuple[str, str], state: int = 1) -> None:
    """Alerts of these services and severities, at once."""
    now = service.clock.now_ms()
    await service.write(
        *(
            alert(
                state,
                start_ms=now - 60_000,
                env=env,
                alertname=f"a{number}",
                severity=severity,
                **({"service": name} if name else {}),
            )
            for number, (name, severity) in enumerate(places)
        )
    )
    await service.placed(env, len(places))
    await service.read_all()


async def test_services_are_listed_by_what_they_have_open(service: Running) -> None:
    assert await names(service) == []
    env, now = service.env(), service.clock.now_ms()
    await fires(
        service,
        env,
        ("web", "warning"),
        ("web", "warning"),
        ("db", "critical"),
        ("db", "info"),
        ("cart", "warning"),
        ("", "critical"),
    )
    for member_id, start_ms, end_ms, name in (
        ("goes on", now - 2 * DAY_MS, 0, "host-1"),
        ("was", now - 60_000, now - 30_000, "host-2"),
        ("long ago", now - 2 * DAY_MS, now - DAY_MS, "host-3"),
    ):
        await service.incidents.pool.execute(_ANOMALY, member_id, start_ms, end_ms, name)
    found = {each.service: each for each in await pages(service)}
    assert list(found) == ["db", "host-1", "web", "cart", "host-2"]
    assert found["db"].firing_alerts == incidents.SeverityCounts(critical=1, info=1)
    assert found["web"].firing_alerts == incidents.SeverityCounts(warning=2)
    assert found["host-1"].firing_anomalies == incidents.SeverityCounts(critical=1)
    recent = {name: each.recent_anomalies for name, each in found.items()}
    assert recent == {"db": 0, "web": 0, "cart": 0, "host-2": 1, "host-1": 0}
    assert found["db"].open_incidents == 1
    assert not found["db"].HasField("calls")
    # whose incidents a person has resolved has none, though its alerts fire
    for each in await service.listed(env):
        await service.stub.Resolve(incidents.ResolveRequest(incident_id=each.incident_id))
    (db,) = await pages(service, query="DB")
    assert (db.open_incidents, db.firing_alerts.critical) == (0, 1)


async def test_what_ended_counts_no_more(service: Running) -> None:
    env, now = service.env(), service.clock.now_ms()
    (firing, ended) = (
        alert(state, start_ms=now, env=env, alertname="a", service="web", severity="critical")
        for state in (1, RESOLVED)
    )
    await service.write(firing)
    await service.placed(env, 1)
    await service.write(ended)
    await service.read_all()
    (web,) = await pages(service)
    assert web.firing_alerts == incidents.SeverityCounts()
    assert web.open_incidents == 1
    await service.later(2 * DAY_MS / 1000)
    await service.one(env, states=[4])
    assert await names(service) == []


async def test_calls_name_services_where_nothing_is_wrong(
    postgres: EmbeddedPostgres, migrated_template: str, redis_server: EmbeddedRedis, keys: Path
) -> None:
    topology = Topology()
    topology.edges = [
        edge("", "web", pb.CONNECTION_TYPE_ENTRY),
        edge("web", "db", pb.CONNECTION_TYPE_DATABASE),
        edge("web", "web", pb.CONNECTION_TYPE_CALL),
        edge("web", "10.0.0.9:80", pb.CONNECTION_TYPE_ADDRESS),
    ]
    topology.counts = pb.EdgeCounts(spans=6, errors=2)
    server = grpc.aio.server()
    add_TopologyServiceServicer_to_server(topology, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    redis_url = redis_server.url.replace("db=0", "db=3")
    target = {"topology_target": f"127.0.0.1:{port}"}
    async with (
        database(postgres.dsn, template=migrated_template) as dsn,
        running(dsn, redis_url, keys, **target) as service,
    ):
        await fires(service, service.env(), ("db", "info"))

        async def known() -> list[incidents.ServiceStatus] | None:
            found = await pages(service)
            return found if len(found) == 2 else None

        db, web = await until(known)
    await server.stop(0)
    assert (db.service, web.service) == ("db", "web")
    assert web.calls == incidents.ServiceCalls(received=12, errors=4, callees=["db"])
    assert db.calls == incidents.ServiceCalls(received=6, errors=2)


async def test_names_are_found_by_a_part(service: Running) -> None:
    env = service.env()
    await fires(service, env, ("Web-Shop", "info"), ("web", "info"), ("100%_sure", "info"))
    assert await names(service, query="WEB") == ["Web-Shop", "web"]
    assert await names(service, query="%_") == ["100%_sure"]
    assert await names(service, query="\\") == []


async def test_a_bad_request_is_told_what_to_change(shared: Running) -> None:
    await fires(shared, shared.env(), *((f"s{number}", "info") for number in range(3)))
    ask = shared.stub.ListServices
    token = (await ask(incidents.ListServicesRequest(page_size=1))).next_page_token
    question, *place = msgspec.msgpack.decode(base64.b64decode(token, b"-_"))
    far, odd = [2**64 - 1, *place[1:]], [*place[:-1], "\0"]
    made = [
        base64.urlsafe_b64encode(msgspec.msgpack.encode([question, *each])).decode()
        for each in (far, odd, place[1:])
    ]
    for each in ("x", *made):
        await refused(ask(incidents.ListServicesRequest(page_token=each)), "INVALID_PAGE_TOKEN")
    other = incidents.ListServicesRequest(page_token=token, query="s")
    await refused(ask(other), "INVALID_PAGE_TOKEN")
    await refused(ask(incidents.ListServicesRequest(page_size=1001)), "INVALID_PAGE_SIZE")
    await refused(ask(incidents.ListServicesRequest(query="a" * 201)), "INVALID_QUERY")
    await refused(ask(incidents.ListServicesRequest(query="\0")), "INVALID_QUERY")
