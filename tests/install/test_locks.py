"""The locks are complete and say what pyproject.toml asks for, in every supported environment."""

import importlib.metadata
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.install.locks import DEVELOP, REPOSITORY, RUN, Locked, read

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
PLATFORMS = {
    "linux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    "mac": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
}
ENVIRONMENTS = [
    pytest.param({"python_version": v, "python_full_version": f"{v}.4", **p}, id=f"{name}-{v}")
    for name, p in PLATFORMS.items()
    for v in ("3.11", "3.12", "3.13")
]
REMEDY = "run `make lock`"


def of_group(name: str) -> Iterator[str]:
    """The requirements of a dependency group and of those that it includes."""
    for item in PROJECT["dependency-groups"][name]:
        if isinstance(item, str):
            yield item
        else:
            yield from of_group(item["include-group"])


def asked(lock: Path) -> list[str]:
    """What pyproject.toml asks a lock to hold."""
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    if lock == RUN:
        return [*project["dependencies"], *extras["embedded"], *of_group("build")]
    every = [requirement for extra in extras.values() for requirement in extra]
    return [*project["dependencies"], *every, *of_group("dev")]


def reached(
    requirements: Iterable[str], locked: dict[str, Locked], environment: dict[str, Any]
) -> set[str]:
    """Names of all that `requirements` need, by the metadata of what is installed here."""
    waiting = [(Requirement(text), "") for text in requirements]
    seen: set[tuple[str, str]] = set()
    while waiting:
        wanted, extra = waiting.pop()
        if wanted.marker and not wanted.marker.evaluate({**environment, "extra": extra}):
            continue
        name = canonicalize_name(wanted.name)
        assert name in locked, f"{wanted} is not in the lock: {REMEDY}"
        assert wanted.specifier.contains(locked[name].version, prereleases=True), (
            f"the lock holds {name} {locked[name].version}, not {wanted}: {REMEDY}"
        )
        for inner in {"", *wanted.extras} - {inner for known, inner in seen if known == name}:
            seen.add((name, inner))
            waiting += [(Requirement(text), inner) for text in needs(name)]
    return {name for name, _ in seen}


def needs(name: str) -> list[str]:
    """What a package says it requires; nothing when only other environments install it."""
    try:
        return importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("lock", [RUN, DEVELOP], ids=lambda path: path.name)
def test_lock_holds_all_that_is_needed_and_nothing_else(
    lock: Path, environment: dict[str, str]
) -> None:
    complete = {**default_environment(), **environment}
    locked = {entry.name: entry for entry in read(lock) if entry.holds(complete)}
    assert reached(asked(lock), locked, complete) == set(locked), REMEDY


def test_what_develops_holds_what_runs_unchanged() -> None:
    assert {(str(e.requirement), e.hashes) for e in read(RUN)} <= {
        (str(e.requirement), e.hashes) for e in read(DEVELOP)
    }, REMEDY


def test_what_runs_is_a_part_only() -> None:
    tools = {"pytest", "mypy", "ruff", "pandas", "river", "matplotlib", "grpcio-tools"}
    assert tools.isdisjoint(entry.name for entry in read(RUN))
    assert tools <= {entry.name for entry in read(DEVELOP)}


@pytest.mark.parametrize("lock", [RUN, DEVELOP], ids=lambda path: path.name)
def test_lock_has_a_hash_for_every_package_and_names_no_host(lock: Path) -> None:
    text = lock.read_text()
    assert len(re.findall(r"^[a-z]", text, re.MULTILINE)) == len(list(read(lock)))
    assert "://" not in text
    assert not re.search(r"^\s*(-i|--index-url|--extra-index-url|--find-links)", text, re.MULTILINE)


def test_venv_holds_the_versions_of_the_lock() -> None:
    environment = dict(default_environment())
    locked = {e.name: e.version for e in read(DEVELOP) if e.holds(environment)}
    found = {name: importlib.metadata.version(name) for name in locked}
    assert found == locked, "run `make setup`"
