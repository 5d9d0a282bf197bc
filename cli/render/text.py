"""Text of others on a terminal."""

import re
from typing import Final

from rich import markup

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def escape(text: str) -> str:
    """Shows markup and control characters instead of obeying them."""
    return markup.escape(_CONTROL.sub("\ufffd", text))
