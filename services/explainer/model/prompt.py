"""What a language model is sent, and the form of its answer."""

from dataclasses import dataclass
from typing import Any, Final

SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "root_cause": {"type": "string"},
        "mitigation": {"type": "string"},
        "summary": {"type": "string"},
    },
    "required": ["root_cause", "mitigation", "summary"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What is sent: the instructions and the facts, apart from each other."""

    system: str
    user: str
