"""What kustomize builds of each overlay is accepted by the schema of Kubernetes and by checkov."""

import os
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from observability.catalogue import series_names
from observability.kubernetes import deployed
from observability.services import REPOSITORY
from tests.observability.validators import accepted, tool

pytestmark = pytest.mark.validators

KUBERNETES = "1.31"
OVERLAYS = ("base", "agent", "overlays/dev", "overlays/prod")
CUSTOM = {"PodMonitor", "Issuer", "Certificate", "ScaledObject", "Cluster", "HTTPRoute"}
COMPONENTS = ("mtls", "keda", "cloudnative-pg", "canary")
NOT_ASKED = {
    "CKV_K8S_15": "images have a tag of their own, which never changes",
    "CKV_K8S_43": "digests are for whoever has the registry: kustomize's images:",
    "CKV_K8S_35": "the address of a store carries its password; keys are files",
    "CKV_K8S_40": "our images run as 1001, PostgreSQL and Redis as the user of theirs",
}


@cache
def built(overlay: str) -> str:
    """The objects of an overlay as text."""
    return kustomized(REPOSITORY / "k8s" / overlay)


def kustomized(path: Path) -> str:
    """What kustomize makes of a folder."""
    if shutil.which("kubectl"):
        return accepted(["kubectl", "kustomize", path])
    return accepted([tool("kustomize"), "build", path])


def objects(overlay: str) -> list[dict[str, Any]]:
    """The same, read."""
    return [item for item in yaml.load_all(built(overlay), yaml.CSafeLoader) if item]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_object_fits_the_schema_of_kubernetes(overlay: str) -> None:
    found = objects(overlay)
    assert found
    for item in found:
        if item["kind"] not in CUSTOM:
            kubernetes_validate.validate(item, KUBERNETES, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_checkov_finds_nothing(overlay: str, tmp_path: Path) -> None:
    path = tmp_path / "objects.yaml"
    path.write_text(built(overlay))
    checkov = [
        tool("checkov"),
        "--skip-download",
        "--framework",
        "kubernetes",
        "--compact",
        "--quiet",
    ]
    accepted([*checkov, "--skip-check", ",".join(NOT_ASKED), "-f", path])


def test_a_change_of_the_configuration_rolls_out() -> None:
    found = objects("base")
    (config,) = [
        item
        for item in found
        if item["kind"] == "ConfigMap" and item["metadata"]["name"].startswith("sensus-config-")
    ]
    hashed = config["metadata"]["name"]
    workloads = [item for item in found if item["kind"] in ("Deployment", "StatefulSet")]
    naming = [item for item in workloads if hashed in yaml.safe_dump(item)]
    assert len(naming) == len(deployed())


def test_images_have_a_tag() -> None:
    for overlay in OVERLAYS[:1]:
        for item in objects(overlay):
            if item["kind"] in ("Deployment", "StatefulSet"):
                for container in item["spec"]["template"]["spec"]["containers"]:
                    tag = container["image"].partition(":")[2]
                    assert tag not in ("", "latest"), container["image"]


def test_stores_of_your_own_take_the_place_of_those_in_the_base() -> None:
    kinds = {(item["kind"], item["metadata"]["name"]) for item in objects("overlays/prod")}
    assert ("StatefulSet", "postgres") not in kinds
    assert ("StatefulSet", "redis") not in kinds
    assert ("NetworkPolicy", "external-stores") in kinds
    assert ("Ingress", "gateway") in kinds


def with_component(name: str, folder: Path) -> list[dict[str, Any]]:
    """The objects of the base with one component."""
    k8s = os.path.relpath(REPOSITORY / "k8s", folder.resolve())
    resources = [f"{k8s}/base"]
    components = [f"{k8s}/components/{name}"]
    text = {"namespace": "sensus", "resources": resources, "components": components}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(text))
    return [item for item in yaml.load_all(kustomized(folder), yaml.CSafeLoader) if item]


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_object_of_a_component_fits_the_schema(component: str, tmp_path: Path) -> None:
    for item in with_component(component, tmp_path):
        if item["kind"] not in CUSTOM:
            kubernetes_validate.validate(item, KUBERNETES, strict=True)


def pods(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The pods of our own workloads, by name."""
    return {
        item["metadata"]["name"]: item["spec"]["template"]["spec"]
        for item in found
        if item["kind"] in ("Deployment", "StatefulSet")
        and item["metadata"]["name"] not in ("postgres", "redis")
    }


def test_mtls_gives_every_service_a_certificate_of_its_name(tmp_path: Path) -> None:
    found = with_component("mtls", tmp_path)
    hosts = {
        item["spec"]["secretName"]: item["spec"]["dnsNames"]
        for item in found
        if item["kind"] == "Certificate" and "dnsNames" in item["spec"]
    }
    (config,) = (item["data"] for item in found if item["kind"] == "ConfigMap")
    targets = {value.removeprefix("dns:///").partition(":")[0] for key, value in config.items()
               if key.endswith("_TARGET")}  # fmt: skip
    assert targets <= {host for each in hosts.values() for host in each}
    for name, pod in pods(found).items():
        (volume,) = (each for each in pod["volumes"] if each["name"] == "tls")
        assert name in hosts[volume["secret"]["secretName"]]
        (mount,) = (each for each in pod["containers"][0]["volumeMounts"] if each["name"] == "tls")
        for setting in ("CERT", "KEY", "CA"):
            assert config[f"SENSUS_TLS_{setting}_FILE"].startswith(f"{mount['mountPath']}/")
        probes = [probe for key, probe in pod["containers"][0].items() if key.endswith("Probe")]
        assert len(probes) == 3
        assert not any("grpc" in probe for probe in probes), "they speak no TLS"


def test_keda_takes_the_place_of_the_detectors_autoscaler(tmp_path: Path) -> None:
    found = with_component("keda", tmp_path)
    scalers = {item["metadata"]["name"] for item in found if "Autoscaler" in item["kind"]}
    (scaled,) = (item for item in found if item["kind"] == "ScaledObject")
    assert scaled["spec"]["scaleTargetRef"]["name"] == "detector"
    assert "detector" not in scalers
    query = scaled["spec"]["triggers"][0]["metadata"]["query"]
    assert set(re.findall(r"sensus_\w+", query)) <= series_names()


def test_every_service_reads_the_address_that_cloudnative_pg_makes(tmp_path: Path) -> None:
    found = with_component("cloudnative-pg", tmp_path)
    (cluster,) = (item["metadata"]["name"] for item in found if item["kind"] == "Cluster")
    for pod in pods(found).values():
        for container in [*pod["containers"], *pod["initContainers"]]:
            (address,) = (
                each["valueFrom"]["secretKeyRef"]
                for each in container["env"]
                if each["name"] == "SENSUS_POSTGRES_DSN"
            )
            assert address == {"name": f"{cluster}-app", "key": "uri"}


def test_canary_and_gateway_share_no_pod(tmp_path: Path) -> None:
    found = with_component("canary", tmp_path)
    labels = {
        item["metadata"]["name"]: item["spec"]["template"]["metadata"]["labels"]
        for item in found
        if item["kind"] == "Deployment" and item["metadata"]["name"].startswith("gateway")
    }
    (route,) = (item for item in found if item["kind"] == "HTTPRoute")
    services = [each["name"] for each in route["spec"]["rules"][0]["backendRefs"]]
    assert set(services) == set(labels)
    for name in services:
        (selector,) = (
            item["spec"]["selector"]
            for item in found
            if item["kind"] == "Service" and item["metadata"]["name"] == name
        )
        assert [each for each, has in labels.items() if selector.items() <= has.items()] == [name]
