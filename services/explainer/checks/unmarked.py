"""A model's text without the signs that models like to set around words."""

import re
from typing import Final

_MARKED: Final = re.compile(r"\*\*(?! )([^*`\n]{1,200})(?<! )\*\*|`(?! )([^*`\n]{1,200})(?<! )`")
_BULLET: Final = re.compile(r"(?m)^ {0,3}(?:[-*]|\d{1,2}[.)]) (?=[A-Za-z*`])")
_ABOUT: Final = re.compile(r"(?<!\S)[~\u2248](?=\d)")


def unmarked(text: str) -> str:
    """The text without bold, code and bullets, and with "about" for "~"; all else stays.

    >>> print(unmarked("**web-1** is at ~90 % of `cpu`, *not* ~~db~~"))
    web-1 is at about 90 % of cpu, *not* ~~db~~
    """
    bare = _MARKED.sub(lambda found: found[1] or found[2], _BULLET.sub("", text))
    return _ABOUT.sub("about ", bare)
