"""The Dockerfile, the workflows and the scripts, as their linters see them."""

from typing import Any

import pytest
import yaml

from observability.kubernetes import deployed
from observability.services import REPOSITORY
from tests.observability.validators import accepted, tool

WORKFLOWS = sorted((REPOSITORY / ".github/workflows").glob("*.yml"))


def jobs(name: str) -> dict[str, Any]:
    """The jobs of a workflow."""
    return dict(yaml.safe_load((REPOSITORY / f".github/workflows/{name}.yml").read_text())["jobs"])


@pytest.mark.parametrize("workflow", ["ci", "release"])
def test_images_of_all_services_are_built(workflow: str) -> None:
    built = jobs(workflow)["images"]["strategy"]["matrix"]["service"]
    assert set(built) == {each.name for each in deployed()} | {"agent"}


def test_production_is_released_after_staging_in_an_environment_of_its_own() -> None:
    release = jobs("release")
    assert release["production"]["needs"] == "staging"
    assert release["production"]["environment"] == "production"


@pytest.mark.validators
def test_hadolint_finds_nothing() -> None:
    accepted([tool("hadolint"), REPOSITORY / "Dockerfile"])


@pytest.mark.validators
def test_actionlint_finds_nothing() -> None:
    accepted([tool("actionlint"), *WORKFLOWS])
