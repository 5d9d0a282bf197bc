"""Kubernetes objects that follow from the table of services: who may reach whom, and how many.

Network policies deny everything, then allow the calls that the configuration classes name.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import yaml

from mesh import ports
from observability.services import REPOSITORY, Service, in_the_mesh

_HEAD: Final = "# Made by `make observability` from services/*/config.py.\n"
_NAME: Final = "app.kubernetes.io/name"
_NAMESPACE: Final = "kubernetes.io/metadata.name"
_POSTGRES: Final = 5432
_REDIS: Final = 6379
_DNS: Final = 53
_OUTSIDE: Final = {"gateway": (ports.GATEWAY,), "ingest": (ports.INGEST, ports.OTLP_GRPC)}
"""What people and programs outside the namespace may reach."""
_BEYOND: Final = {"explainer": (443, 11434), "notifier": (25, 80, 443, 465, 587)}
"""Ports of what services reach outside: language models; chats, pagers and mail."""
_SCALED: Final = {"ingest": 10, "gateway": 10, "detector": 5, "explainer": 5, "topology": 5}
_REPLICAS_LEAST: Final = 2
HOLD_SHARDS: Final = ("detector", "topology")
"""StatefulSets: a pod keeps its name, which is that of a consumer."""


def deployed() -> list[Service]:
    """The services of the mesh that have a manifest."""
    return [each for each in in_the_mesh() if (REPOSITORY / "k8s/base" / each.name).is_dir()]


def network_text() -> str:
    """Policies for `k8s/base/network.yaml`."""
    return _text(
        [_deny_all(), _dns(), *map(_of_service, deployed()), *_of_stores(), _scrape_and_traces()]
    )


def scaling_text() -> str:
    """Disruption budgets and autoscalers for `k8s/base/scaling.yaml`."""
    budgets = [_disruption(each.name) for each in deployed()]
    scalers = [_scaler(name, most) for name, most in _SCALED.items()]
    return _text([*budgets, *scalers])


def _of_service(service: Service) -> dict[str, Any]:
    callers = [each.name for each in deployed() if service.name in each.calls]
    incoming = [_from(callers, service.ports["grpc"])] if callers else []
    if outside := _OUTSIDE.get(service.name):
        incoming.append({"from": [{"namespaceSelector": {}}], "ports": _ports(*outside)})
    return _policy(
        service.name, {_NAME: service.name}, ingress=incoming, egress=list(_calls(service))
    )


def _calls(service: Service) -> Iterator[dict[str, Any]]:
    for other in deployed():
        if other.name in service.calls:
            yield _to(other.name, other.ports["grpc"])
    if service.has_store:
        yield _to("postgres", _POSTGRES)
    if service.uses_redis:
        yield _to("redis", _REDIS)
    if beyond := _BEYOND.get(service.name):
        yield {"ports": _ports(*beyond)}


def _of_stores() -> Iterator[dict[str, Any]]:
    users = [each.name for each in deployed() if each.has_store]
    yield _policy("postgres", {_NAME: "postgres"}, ingress=[_from(users, _POSTGRES)])
    users = [each.name for each in deployed() if each.uses_redis]
    yield _policy("redis", {_NAME: "redis"}, ingress=[_from(users, _REDIS)])


def _deny_all() -> dict[str, Any]:
    return _policy("deny-all", {}, ingress=[], egress=[])


def _dns() -> dict[str, Any]:
    to = [{"namespaceSelector": {"matchLabels": {_NAMESPACE: "kube-system"}}}]
    both = [{"port": _DNS, "protocol": protocol} for protocol in ("UDP", "TCP")]
    return _policy("dns", {}, egress=[{"to": to, "ports": both}])


def _scrape_and_traces() -> dict[str, Any]:
    """Prometheus scrapes, and a collector takes traces, in the namespace `monitoring`."""
    there = [{"namespaceSelector": {"matchLabels": {_NAMESPACE: "monitoring"}}}]
    scraped = _ports(*sorted(each.metrics_port for each in deployed()))
    return _policy(
        "monitoring",
        {"app.kubernetes.io/part-of": "sensus"},
        ingress=[{"from": there, "ports": scraped}],
        egress=[{"to": there, "ports": _ports(ports.OTLP_GRPC)}],
    )


def _policy(
    name: str,
    selector: dict[str, str],
    *,
    ingress: list[dict[str, Any]] | None = None,
    egress: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    rules = {"ingress": ingress, "egress": egress}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {
            "podSelector": {"matchLabels": selector} if selector else {},
            "policyTypes": [kind.capitalize() for kind, rule in rules.items() if rule is not None],
            **{kind: rule for kind, rule in rules.items() if rule},
        },
    }


def _from(names: Sequence[str], port: int) -> dict[str, Any]:
    return {"from": [_pods(name) for name in names], "ports": _ports(port)}


def _to(name: str, port: int) -> dict[str, Any]:
    return {"to": [_pods(name)], "ports": _ports(port)}


def _pods(name: str) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": {_NAME: name}}}


def _ports(*numbers: int) -> list[dict[str, Any]]:
    return [{"port": number, "protocol": "TCP"} for number in numbers]


def _disruption(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {_NAME: name}}},
    }


def _scaler(name: str, most: int) -> dict[str, Any]:
    kind = "StatefulSet" if name in HOLD_SHARDS else "Deployment"
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": kind, "name": name},
            "minReplicas": _REPLICAS_LEAST,
            "maxReplicas": most,
            "metrics": [_utilization("cpu", 70), _utilization("memory", 80)],
        },
    }


def _utilization(resource: str, percent: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": resource, "target": target}}


def _text(objects: list[dict[str, Any]]) -> str:
    return _HEAD + yaml.safe_dump_all(objects, sort_keys=False, width=100)
