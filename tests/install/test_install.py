"""`make` installs the lock as it stands, from an index where every package has a newer release."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.install.locks import DEVELOP, REPOSITORY, RUN, Locked, read
from tests.install.pythons import PYTHONS
from tests.install.wheels import make_wheel, requirements_of, sha256

pytestmark = pytest.mark.timeout(900)

NEWER = "99999"
"""A release of every package that no lock allows."""
FEW = ("grpcio-status", "httpx", "pytest", "pytest-cov")
"""Of what runs and of what develops, with packages that both need."""
BACKEND = """
import shutil

def build_editable(directory, config_settings=None, metadata_directory=None):
    return shutil.copy("sensus-0-py3-none-any.whl", directory).split("/")[-1]
"""
ENVIRONMENT = """
import json
from pip._vendor.packaging.markers import default_environment
print(json.dumps(default_environment()))
"""
INSTALLED = """
import json
from importlib.metadata import distributions
print(json.dumps([(each.name, each.version) for each in distributions()]))
"""
COPY_NOTHING = """
import pathlib, sys

pathlib.Path(sys.argv[1]).mkdir(exist_ok=True)
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
SERVICES = sorted(path.parent.name for path in REPOSITORY.glob("services/*/__main__.py"))
STARTS = """
import importlib, sys

sys.addaudithook(lambda event, details: event == "compile" and print(details[1]))
for name in sys.argv[1:]:
    importlib.import_module(f"services.{name}.__main__")
"""
"""Prints what is compiled when services start as somebody who may not keep byte code."""
# a new venv of Python 3.11 holds these, whatever the lock says
BROUGHT = {"pip", "setuptools"}


@dataclass(frozen=True, slots=True)
class Clone:
    """A clone whose locked packages are empty, beside an index that has newer ones."""

    directory: Path
    index: Path
    python: str

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the project's own Makefile."""
        environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.index), "PIP_NO_CACHE_DIR": "1"}
        return subprocess.run(
            ["make", *arguments, f"PYTHON={self.python}"],
            cwd=self.directory,
            env=environment | offline | {"PIP_CONFIG_FILE": os.devnull},
            capture_output=True,
            text=True,
            check=False,
        )

    def must_make(self, *arguments: str) -> str:
        """What `make` prints; fails with its errors when it does not succeed."""
        done = self.make(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def installed(self) -> dict[str, str]:
        """Version by name."""
        listed = json.loads(self._python("-c", INSTALLED))
        return {name.lower(): version for name, version in listed if name not in BROUGHT}

    def locked(self, lock: Path) -> dict[str, str]:
        """What `installed` is when that lock is installed."""
        environment = json.loads(self._python("-c", ENVIRONMENT))
        installed = read(self.directory / lock.name)
        versions = {e.name: e.version for e in installed if e.holds(environment)}
        for name in BROUGHT & versions.keys():
            del versions[name]
        return versions | {"sensus": "0"}

    def compiled_at_start(self) -> list[str]:
        """The modules whose byte code the services do not find."""
        return self._python("-B", "-c", STARTS, *SERVICES).split()

    def lock(self, *wheels: Path) -> None:
        """Replaces the lock of what runs by one of these wheels."""
        entries = (locked_as("==".join(wheel.name.split("-")[:2]), wheel) for wheel in wheels)
        (self.directory / RUN.name).write_text("".join(entries))

    def _python(self, *arguments: str) -> str:
        program = [str(self.directory / ".venv/bin/python"), *arguments]
        return subprocess.run(
            program, cwd=self.directory, capture_output=True, text=True, check=True
        ).stdout


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every package of the clones' locks, and a newer release of each that asks for the same."""
    directory = tmp_path_factory.mktemp("index")
    for entry in shortened(DEVELOP):
        for version in (entry.version, NEWER):
            requires = requirements_of(entry.name)
            make_wheel(directory, entry.name, version, requires=requires)
    return directory


@pytest.fixture(params=PYTHONS)
def clone(request: pytest.FixtureRequest, tmp_path: Path, index: Path) -> Clone:
    """The installing half of the repository, with the hashes of the empty packages."""
    for path in ("Makefile", "tools/install.sh"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / path, tmp_path / path)
    for lock in (RUN, DEVELOP):
        (tmp_path / lock.name).write_text(emptied(lock, index))
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "backend.py").write_text(BACKEND)
    (tmp_path / "tools/copy_google_protos.py").write_text(COPY_NOTHING)
    write_services(tmp_path)
    make_wheel(tmp_path, "sensus", "0", requires=[], scripts="sensus = gc:enable")
    return Clone(tmp_path, index, request.param)


def write_services(directory: Path) -> None:
    """Each service of this repository as two files, and the compiler that some of them need."""
    (directory / "numba.py").touch()
    for name in SERVICES:
        service = directory / "services" / name
        service.mkdir(parents=True)
        (service / "__main__.py").write_text(f"import services.{name}.wiring\n")
        (service / "wiring.py").touch()


def shortened(lock: Path) -> list[Locked]:
    """What a lock has of `FEW` packages and of all that they require; the long form takes all."""
    entries = {entry.name: entry for entry in read(lock)}
    if "SENSUS_LONG_TESTS" in os.environ:
        return list(entries.values())
    waiting, names = list(FEW), set[str]()
    while waiting:
        name = waiting.pop()
        if name in entries and name not in names:
            names.add(name)
            required = map(Requirement, requirements_of(name))
            waiting += [canonicalize_name(each.name) for each in required if not is_extra(each)]
    return [entry for name, entry in entries.items() if name in names]


def is_extra(requirement: Requirement) -> bool:
    """Whether only somebody who asks for more needs it."""
    return "extra" in str(requirement.marker)


def emptied(lock: Path, index: Path) -> str:
    """A lock of the same form, whose hashes are those of the index."""
    files = {e: f"{e.name.replace('-', '_')}-{e.version}-py3-none-any.whl" for e in shortened(lock)}
    return "".join(locked_as(str(e.requirement), index / file) for e, file in files.items())


def locked_as(requirement: str, wheel: Path) -> str:
    """An entry of a lock."""
    return f"{requirement} \\\n    --hash={sha256(wheel)}\n"


def test_what_runs_is_installed_and_then_what_develops_joins_it(clone: Clone) -> None:
    """Also where an earlier attempt has left half a venv."""
    (clone.directory / ".venv/bin").mkdir(parents=True)
    (clone.directory / ".venv/bin/python").symlink_to("/nowhere")
    clone.must_make("up")
    assert clone.installed() == clone.locked(RUN)
    assert clone.compiled_at_start() == []
    clone.must_make("setup")
    assert clone.installed() == clone.locked(DEVELOP)
    assert "installing" not in clone.must_make("setup", "up")
    os.utime(clone.directory / RUN.name)
    assert f"installing {DEVELOP.name}" in clone.must_make("up")
    assert clone.installed() == clone.locked(DEVELOP)


def test_index_would_lead_a_resolver_astray(clone: Clone) -> None:
    """The same installation fails where pip may resolve, so the test above can fail."""
    script = clone.directory / "tools/install.sh"
    assert "--no-deps --require-hashes" in script.read_text()
    script.write_text(script.read_text().replace("--no-deps --require-hashes", "--require-hashes"))
    done = clone.make("setup")
    assert done.returncode != 0
    assert "In --require-hashes mode" in done.stderr


@pytest.mark.long
def test_packages_of_an_older_lock_do_not_stand_in_the_way(clone: Clone) -> None:
    """One that is left over wants a version that the new lock does not hold."""
    old = make_wheel(clone.index, "kept", "1", requires=[])
    left = make_wheel(clone.index, "left", "1", requires=["kept<2"])
    clone.lock(old, left)
    clone.must_make("up")
    clone.lock(make_wheel(clone.index, "kept", "2", requires=[]))
    clone.must_make("up")
    installed = clone.installed()
    assert installed["kept"] == "2"
    assert "left" not in installed
