"""What `make` tells of itself."""

import re
import subprocess

from tests.install.locks import REPOSITORY

MAKEFILE = (REPOSITORY / "Makefile").read_text()


def printed() -> str:
    """What `make` prints when it is asked for nothing."""
    make = ["make", "--no-print-directory"]
    return subprocess.run(make, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout


def test_make_prints_every_target_with_its_purpose() -> None:
    phony = {
        each
        for line in re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
        for each in line.split()
    }
    ruled = set(re.findall(r"^([a-z][a-z0-9-]*):", MAKEFILE, re.MULTILINE))
    assert set(re.findall(r"^  (\S+) +\S", printed(), re.MULTILINE)) == phony == ruled


def test_targets_with_digits_are_printed_too() -> None:
    """The pattern of the help takes every name that a target can have here."""
    pattern = re.search(r"/\^(\[\S+\]\+):", MAKEFILE)[1]
    assert re.fullmatch(pattern, "bench-http2")
