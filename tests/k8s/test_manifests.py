"""Every object of k8s/ is accepted by the Kubernetes schema and keeps the rules of the house."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parents[2]
BASE = ROOT / "k8s" / "base"
KUBERNETES = "1.31"
SERVICES = ("ingest", "detector", "explainer", "gateway")


def built(directory: Path) -> Iterator[dict[str, Any]]:
    """The objects that kustomize would build of a base: its resources, followed to their files."""
    kustomization = yaml.safe_load((directory / "kustomization.yaml").read_text())
    for resource in kustomization["resources"]:
        target = directory / resource
        if target.is_dir():
            yield from built(target)
        else:
            yield from (item for item in yaml.safe_load_all(target.read_text()) if item)


OBJECTS = {f"{item['kind']}/{item['metadata']['name']}": item for item in built(BASE)}
WORKLOADS = {name: item for name, item in OBJECTS.items() if item["kind"].endswith(("Set", "ment"))}


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_object_is_accepted_by_the_kubernetes_schema(name: str) -> None:
    kubernetes_validate.validate(OBJECTS[name], KUBERNETES, strict=True)


@pytest.mark.parametrize("name", sorted(WORKLOADS))
def test_every_container_runs_without_privileges_on_a_read_only_root(name: str) -> None:
    pod = WORKLOADS[name]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]) == {"requests", "limits"}


@pytest.mark.parametrize("service", ["ingest", "detector", "explainer"])
def test_grpc_service_is_headless_and_probed_by_grpc(service: str) -> None:
    assert OBJECTS[f"Service/{service}"]["spec"]["clusterIP"] == "None"
    kind = "StatefulSet" if service == "detector" else "Deployment"
    container = OBJECTS[f"{kind}/{service}"]["spec"]["template"]["spec"]["containers"][0]
    assert container["readinessProbe"]["grpc"]["service"] == "readiness"
    assert container["livenessProbe"]["grpc"]["service"] == ""


@pytest.mark.parametrize("service", SERVICES)
def test_service_selects_the_pods_of_its_workload(service: str) -> None:
    workload = next(item for name, item in WORKLOADS.items() if name.endswith(f"/{service}"))
    labels = workload["spec"]["template"]["metadata"]["labels"]
    assert OBJECTS[f"Service/{service}"]["spec"]["selector"].items() <= labels.items()


def test_ports_are_those_of_the_runtime() -> None:
    from mesh import ports

    expected = {"ingest": ports.INGEST, "detector": ports.DETECTOR, "explainer": ports.EXPLAINER}
    for service, port in expected.items():
        assert OBJECTS[f"Service/{service}"]["spec"]["ports"][0]["port"] == port
    assert OBJECTS["Service/gateway"]["spec"]["ports"][0]["port"] == ports.GATEWAY


def test_no_secret_is_kept_in_the_manifests() -> None:
    assert not [name for name in OBJECTS if name.startswith("Secret/")]
