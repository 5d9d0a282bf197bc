"""The compose files: accepted by the specification, complete, and told what services understand."""

import dataclasses
import re
from typing import Any

import pytest
import yaml

from observability.kubernetes import deployed
from observability.limits import limits
from observability.services import REPOSITORY, Service, in_the_mesh
from tests.observability.validators import accepted, tool

OTHERS = {"NUMBA_CACHE_DIR", "OTEL_EXPORTER_OTLP_ENDPOINT"}
UNITS = {"M": 1 << 20, "G": 1 << 30}


class _Loader(yaml.SafeLoader):
    """Reads the tags by which one file changes another."""


for tag in ("!reset", "!override"):
    _Loader.add_constructor(tag, lambda loader, node: loader.construct_sequence(node))


def parsed(name: str) -> dict[str, Any]:
    """The services of a compose file."""
    text = (REPOSITORY / name).read_text()
    return dict(yaml.load(text, Loader=_Loader)["services"])


def name_of(service: Service) -> str:
    """The name of a test's case."""
    return service.name


@pytest.mark.parametrize("service", deployed(), ids=name_of)
def test_every_service_runs_read_only_and_understands_what_it_is_told(service: Service) -> None:
    container = parsed("compose.yaml")[service.name]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["build"]["args"]["SERVICE"] == service.name
    told = container["environment"].keys() - OTHERS
    everybody = {field.name for each in in_the_mesh() for field in dataclasses.fields(each.config)}
    assert told <= {f"SENSUS_{name.upper()}" for name in everybody}
    required = {
        f"SENSUS_{field.name.upper()}"
        for field in dataclasses.fields(service.config)
        if field.default is dataclasses.MISSING
    }
    assert required <= told


@pytest.mark.parametrize("service", deployed(), ids=name_of)
def test_production_has_two_replicas_and_the_memory_limit_of_kubernetes(service: Service) -> None:
    container = parsed("compose.prod.yaml")[service.name]
    assert container["deploy"]["replicas"] == 2
    limit = container["deploy"]["resources"]["limits"]["memory"]
    assert int(limit[:-1]) * UNITS[limit[-1]] == limits()[service.name].memory_bytes


def test_production_ends_every_log_and_knows_no_password() -> None:
    for name, container in parsed("compose.prod.yaml").items():
        assert container["logging"]["options"] == {"max-size": "50m", "max-file": "5"}, name
    assert ":-" not in (REPOSITORY / "compose.prod.yaml").read_text()


def test_images_have_a_tag() -> None:
    for name, container in parsed("compose.yaml").items():
        assert re.search(r":(?!latest)\S+$", container["image"]), name


def test_targets_that_prometheus_scrapes_are_services_of_compose() -> None:
    config = yaml.safe_load((REPOSITORY / "observability/prometheus/prometheus.yml").read_text())
    hosts = {
        target.partition(":")[0]
        for job in config["scrape_configs"]
        for group in job["static_configs"]
        for target in group["targets"]
    }
    assert hosts <= parsed("compose.yaml").keys()


@pytest.mark.validators
@pytest.mark.parametrize("files", [("compose.yaml",), ("compose.yaml", "compose.prod.yaml")])
def test_compose_files_are_accepted_by_the_specification(files: tuple[str, ...]) -> None:
    assert accepted([tool("compose-check"), "-no-interpolation", *files])
