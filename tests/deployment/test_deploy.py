"""The script that rolls a tag out, with a kubectl that writes down what it is asked."""

import base64
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from observability.kubernetes import deployed
from observability.services import REPOSITORY

KUBECTL = """#!/usr/bin/env bash
echo "$KUBECONFIG $*" >>"$RECORD/calls"
cp "$KUBECONFIG" "$RECORD/kubeconfig" && cp kustomization.yaml "$RECORD/kustomization.yaml"
case "$*" in *" get "*) echo deployment.apps/ingest; echo deployment.apps/gateway;; esac
[[ "$*" != *"${FAILING:-nothing}"* ]]
"""
SECRETS = {
    "REGISTRY": "registry.example/sensus",
    "KUBECONFIG_BASE64": base64.b64encode(b"a cluster").decode(),
}


def deploy(directory: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Rolls v1.2.3 out."""
    kubectl = directory / "kubectl"
    kubectl.write_text(KUBECTL)
    kubectl.chmod(0o755)
    path = f"{directory}:{os.environ['PATH']}"
    return subprocess.run(
        [REPOSITORY / "tools/deploy.sh", "v1.2.3"],
        env={"PATH": path, "RECORD": str(directory), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_image_gets_the_tag_and_every_rollout_is_waited_for(tmp_path: Path) -> None:
    done = deploy(tmp_path, **SECRETS)
    assert done.returncode == 0, done.stderr
    images = yaml.safe_load((tmp_path / "kustomization.yaml").read_text())["images"]
    assert {each["name"] for each in images} == {f"sensus-{each.name}" for each in deployed()}
    assert {each["newTag"] for each in images} == {"v1.2.3"}
    assert all(each["newName"] == f"registry.example/sensus/{each['name']}" for each in images)
    calls = [each.partition(" ")[2] for each in (tmp_path / "calls").read_text().splitlines()]
    assert calls[0] == "apply --kustomize ."
    waits = [each for each in calls if "rollout status" in each]
    assert [each.rpartition(" ")[2] for each in waits] == [
        "deployment.apps/ingest",
        "deployment.apps/gateway",
    ]
    assert (tmp_path / "kubeconfig").read_text() == "a cluster"
    kubeconfig = (tmp_path / "calls").read_text().partition(" ")[0]
    assert not Path(kubeconfig).exists()


def test_a_rollout_that_does_not_come_up_fails_the_job(tmp_path: Path) -> None:
    assert deploy(tmp_path, **SECRETS, FAILING="rollout status").returncode != 0


@pytest.mark.parametrize("missing", SECRETS)
def test_what_is_not_set_is_named_before_anything_is_asked(tmp_path: Path, missing: str) -> None:
    given = {name: value for name, value in SECRETS.items() if name != missing}
    done = deploy(tmp_path, **given)
    assert done.returncode != 0
    assert missing in done.stderr
    assert not (tmp_path / "calls").exists()
