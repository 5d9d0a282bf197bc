"""The page of settings is complete, and other pages name settings that exist."""

import dataclasses
import re
from pathlib import Path

import pytest

from observability.services import REPOSITORY, Service, services
from observability.settings import page

PAGES = sorted((REPOSITORY / "docs").glob("*.md"))
ELSEWHERE = {
    "SENSUS_LOGHUB",  # of a bench
    "SENSUS_SERVICE",  # the image's own: which service it runs
    "SENSUS_TOKEN",  # of an example
}
PREFIXES = tuple(f"SENSUS_{each.name.upper()}_" for each in services())


def variables() -> set[str]:
    """Every variable that a service reads, without the prefix of a service."""
    return {
        f"SENSUS_{field.name}".upper()
        for each in services()
        for field in dataclasses.fields(each.config)
    }


def forms(name: str) -> set[str]:
    """The variable itself, and without the prefix of a service."""
    return {name} | {name.replace(each, "SENSUS_", 1) for each in PREFIXES if name.startswith(each)}


@pytest.mark.parametrize("service", services(), ids=lambda service: service.name)
def test_every_setting_of_a_service_is_on_the_page_with_its_meaning(service: Service) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|.*(?<!\\)\| ((?:\\\||[^|])+) \|$", page(), re.MULTILINE))
    for field in dataclasses.fields(service.config):
        names = (f"SENSUS_{field.name}", f"SENSUS_{service.name}_{field.name}")
        meaning = next((rows[name.upper()] for name in names if name.upper() in rows), "")
        assert len(meaning.split()) >= 2, field.name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_page_names_settings_that_exist(path: Path) -> None:
    named = set(re.findall(r"\bSENSUS_[A-Z_]*[A-Z]\b(?![_<*…])", path.read_text()))
    unknown = {name for name in named if not forms(name) & variables()}
    assert unknown - ELSEWHERE - composed() == set()


def composed() -> set[str]:
    """Variables that the compose files read themselves."""
    texts = [path.read_text() for path in REPOSITORY.glob("compose*.yaml")]
    assert len(texts) == 2
    return set(re.findall(r"\$\{(SENSUS_\w+)", "".join(texts)))
