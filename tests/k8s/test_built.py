"""What kustomize builds of each overlay is accepted by the schema of Kubernetes and by checkov."""

import shutil
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from observability.kubernetes import deployed
from observability.services import REPOSITORY
from tests.observability.validators import accepted, tool

pytestmark = pytest.mark.validators

KUBERNETES = "1.31"
OVERLAYS = ("base", "agent", "overlays/dev", "overlays/prod")
CUSTOM = {"PodMonitor"}
NOT_ASKED = {
    "CKV_K8S_15": "images have a tag of their own, which never changes",
    "CKV_K8S_43": "digests are for whoever has the registry: kustomize's images:",
    "CKV_K8S_35": "the address of a store carries its password; keys are files",
    "CKV_K8S_40": "PostgreSQL and Redis run as the user of their images",
}


def built(overlay: str) -> str:
    """The objects of an overlay as text."""
    path = REPOSITORY / "k8s" / overlay
    if shutil.which("kubectl"):
        return accepted(["kubectl", "kustomize", path])
    return accepted([tool("kustomize"), "build", path])


def objects(overlay: str) -> list[dict[str, Any]]:
    """The same, read."""
    return [item for item in yaml.safe_load_all(built(overlay)) if item]


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
