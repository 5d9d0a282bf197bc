"""Prompt templates that come with the product: `<name>.v<version>.md`, fixed once shipped."""

import re
from importlib import resources
from typing import Final

from services.explainer.model.templates import Template

_FILE: Final = re.compile(r"([a-z][a-z0-9-]*)\.v(\d+)\.md")
_WEIGHTS: Final = {"plain@2": 1.0}
"""Shares at first start; all others wait until somebody gives them one."""


def shipped() -> tuple[Template, ...]:
    """Every template of this package, by name and version."""
    found = []
    for entry in resources.files(__name__).iterdir():
        if named := _FILE.fullmatch(entry.name):
            name, version = named[1], int(named[2])
            weight = _WEIGHTS.get(f"{name}@{version}", 0.0)
            text = entry.read_text(encoding="utf-8").strip()
            found.append(Template(name=name, version=version, text=text, weight=weight))
    return tuple(sorted(found, key=lambda each: (each.name, each.version)))
