"""What a lock says, read for the tests of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[2]
RUN, DEVELOP = REPOSITORY / "requirements.lock", REPOSITORY / "requirements-dev.lock"
_ENTRY = re.compile(r"^(\S.*?) \\\n((?:    --hash=\S+(?: \\)?\n)+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Locked:
    """One package of a lock, for the environments that its marker names."""

    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def name(self) -> NormalizedName:
        """As the index writes it."""
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        """The one version that the lock allows."""
        (pin,) = self.requirement.specifier
        assert pin.operator == "==", self.requirement
        return pin.version

    def holds(self, environment: dict[str, str]) -> bool:
        """Whether it is installed in an environment."""
        marker = self.requirement.marker
        return marker is None or marker.evaluate(environment)


def read(lock: Path) -> Iterator[Locked]:
    """Every package of a lock."""
    for requirement, hashes in _ENTRY.findall(lock.read_text()):
        yield Locked(Requirement(requirement), tuple(re.findall(r"--hash=(\S+)", hashes)))
