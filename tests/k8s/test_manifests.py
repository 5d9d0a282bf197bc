"""Every object of k8s/ is accepted by the Kubernetes schema and keeps the rules of the house."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parents[2]
BASE = ROOT / "k8s" / "base"
AGENT = ROOT / "k8s" / "agent"
KUBERNETES = "1.31"
SERVICES = ("ingest", "detector", "explainer", "incidents", "notifier", "topology", "gateway")


def built(directory: Path) -> Iterator[dict[str, Any]]:
    """The objects that kustomize would build of a base: its resources, followed to their files."""
    kustomization = yaml.safe_load((directory / "kustomization.yaml").read_text())
    for resource in kustomization["resources"]:
        target = directory / resource
        if target.is_dir():
            yield from built(target)
        else:
            yield from (
                item for item in yaml.load_all(target.read_text(), yaml.CSafeLoader) if item
            )


OBJECTS = {
    f"{item['kind']}/{item['metadata']['name']}": item
    for base in (BASE, AGENT)
    for item in built(base)
}
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


@pytest.mark.parametrize("service", SERVICES[:-1])
def test_grpc_service_is_headless_and_probed_by_grpc(service: str) -> None:
    assert OBJECTS[f"Service/{service}"]["spec"]["clusterIP"] == "None"
    kind = "StatefulSet" if service in ("detector", "topology") else "Deployment"
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

    expected = {
        "ingest": ports.INGEST,
        "detector": ports.DETECTOR,
        "explainer": ports.EXPLAINER,
        "incidents": ports.INCIDENTS,
        "notifier": ports.NOTIFIER,
        "topology": ports.TOPOLOGY,
    }
    for service, port in expected.items():
        assert OBJECTS[f"Service/{service}"]["spec"]["ports"][0]["port"] == port
    assert OBJECTS["Service/gateway"]["spec"]["ports"][0]["port"] == ports.GATEWAY


def test_settings_that_are_told_to_all_services_exist() -> None:
    from observability.services import in_the_mesh

    lines = (BASE / "config.env").read_text().splitlines()
    told = {line.partition("=")[0] for line in lines if line.startswith("SENSUS_")}
    names = {field.name for each in in_the_mesh() for field in fields(each.config)}
    assert told <= {f"SENSUS_{name.upper()}" for name in names}


def test_no_secret_is_kept_in_the_manifests() -> None:
    assert not [name for name in OBJECTS if name.startswith("Secret/")]


def test_agent_sees_the_host_through_a_read_only_proc_and_nothing_else() -> None:
    pod = OBJECTS["DaemonSet/agent"]["spec"]["template"]["spec"]
    assert not {"hostPID", "hostNetwork", "hostIPC"} & pod.keys()
    assert pod["automountServiceAccountToken"] is False
    of_the_host = {volume["name"]: volume for volume in pod["volumes"] if "hostPath" in volume}
    assert [volume["hostPath"]["path"] for volume in of_the_host.values()] == ["/proc"]
    (container,) = pod["containers"]
    mounts = [mount for mount in container["volumeMounts"] if mount["name"] in of_the_host]
    assert all(mount["readOnly"] for mount in mounts)


def test_agent_is_told_what_it_understands() -> None:
    from mesh import ports
    from services.agent.config import Config

    (container,) = OBJECTS["DaemonSet/agent"]["spec"]["template"]["spec"]["containers"]
    told = {each["name"]: each.get("value") for each in container["env"]}
    settings = {f"SENSUS_AGENT_{field.name.upper()}" for field in fields(Config)}
    assert told.keys() <= settings
    assert told["SENSUS_AGENT_METRICS_PORT"] == str(ports.METRICS_AGENT)
    assert told["SENSUS_AGENT_INGEST_TARGET"] == f"dns:///ingest.sensus:{ports.INGEST}"
