"""Network policies allow the arrows of the architecture, and nothing else."""

import re
from typing import Any

import pytest
import yaml

from observability.kubernetes import deployed, network_text
from observability.services import REPOSITORY

STORES = {"pg": "postgres", "redis": "redis"}
POLICIES: dict[str, Any] = {
    each["metadata"]["name"]: each["spec"] for each in yaml.safe_load_all(network_text())
}


def arrows() -> set[tuple[str, str]]:
    """(caller, called) in the picture; data on a thick arrow flows to whoever subscribed."""
    page = (REPOSITORY / "docs/architecture.md").read_text()
    picture = page.partition("```mermaid")[2].partition("```")[0]
    found = set()
    for caller, line, called in re.findall(
        r"^ +(\w+)(?:\[.*?\])? (--|==|-\.|-->)[^\n]*?[>.] (\w+)", picture, re.MULTILINE
    ):
        found.add((called, caller) if line == "==" else (caller, STORES.get(called, called)))
    return found


def allowed() -> set[tuple[str, str]]:
    """(caller, called) pods that may open a connection, as both ends say."""
    found = set()
    for name, spec in POLICIES.items():
        for rule in spec.get("egress", ()):
            for peer in rule.get("to", ()):
                if labels := peer.get("podSelector", {}).get("matchLabels"):
                    found.add((name, labels["app.kubernetes.io/name"]))
    return found


def accepted() -> set[tuple[str, str]]:
    """The same, read off the rules for what comes in."""
    found = set()
    for name, spec in POLICIES.items():
        for rule in spec.get("ingress", ()):
            for peer in rule["from"]:
                if labels := peer.get("podSelector", {}).get("matchLabels"):
                    found.add((labels["app.kubernetes.io/name"], name))
    return found


def test_calls_are_allowed_at_both_ends() -> None:
    assert allowed() == accepted()


def test_every_arrow_between_services_is_allowed_and_nothing_else() -> None:
    places = {each.name for each in deployed()} | set(STORES.values())
    drawn = {(caller, called) for caller, called in arrows() if {caller, called} <= places}
    # the stream of whose tokens hold is drawn nowhere: every service follows it
    standing = {(each.name, "gateway") for each in deployed() if each.name != "gateway"}
    assert drawn
    assert allowed() - standing == drawn, "draw each `_target` in docs/architecture.md"


def test_everything_else_is_denied() -> None:
    assert POLICIES["deny-all"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@pytest.mark.parametrize("store", sorted(STORES.values()))
def test_stores_are_reached_from_services_alone(store: str) -> None:
    for rule in POLICIES[store]["ingress"]:
        assert all("podSelector" in peer for peer in rule["from"])


def test_only_the_gateway_and_ingest_are_reached_from_outside() -> None:
    outside = {
        name
        for name, spec in POLICIES.items()
        for rule in spec.get("ingress", ())
        for peer in rule["from"]
        if peer == {"namespaceSelector": {}}
    }
    assert outside == {"gateway", "ingest"}
