"""Numbers as texts write them."""

import re

NUMBER = re.compile(
    r"(?<![\w.])[-\u2212+]?\d+(?:[.,:]\d+)*(?:e[-+]?\d+)?(?P<gap> ?)(?P<unit>[A-Za-z%°µ]+)?"
)
"""A number, and the word that follows it at once or after one blank."""


def written(found: re.Match[str]) -> str:
    """The number alone, with an ASCII minus and without a plus.

    >>> [written(each) for each in NUMBER.finditer("from +3.5 ms to \u22122e5 and 7%")]
    ['3.5', '-2e5', '7']
    """
    number = found[0].removesuffix(found["unit"] or "").strip()
    return number.replace("\u2212", "-").removeprefix("+")
