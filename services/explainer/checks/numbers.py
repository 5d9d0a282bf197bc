"""Numbers as texts write them, with the signs and words that go before them."""

import re
from typing import Final

DASHES: Final = "-\u2010-\u2015\u2212\ufe58\ufe63\uff0d"

NUMBER: Final = re.compile(r"(?<![\w.])\d+(?:[.,:]\d+)*(?:e[-+]?\d+)?")
"""A number without its sign; what stands before and behind it are read by `written` and `units`."""

_SIGNS: Final = re.compile(rf"[{DASHES}+][{DASHES}+\s]*$")
_SIGNS_CHARS_MAX: Final = 8
_SIGN_WORD: Final = re.compile(r"\b(?:minus|negative)\W{0,3}(?=\d)", re.IGNORECASE)
_DENIED: Final = re.compile(
    r"(?:\b(?:not|never|neither|nor|without)\b|n['\u2019]t\b)[^,;:.]*$", re.IGNORECASE
)
_CLAUSE_CHARS: Final = 60
_DIFFERENCE: Final = re.compile(
    r"\bby (?:(?:about|around|some|nearly|roughly|only|an?|the|another|over|at least) ){0,2}$",
    re.IGNORECASE,
)
_OFFSET: Final = re.compile(
    r"\b(?:preced(?:ed|es|ing)|follow(?:ed|s|ing)|before|after|prior to|ahead of|led|trailed"
    r"|lagged|earlier than|later than)\s[^,;:.]{1,50}\sby [a-z ]{0,16}$",
    re.IGNORECASE,
)
"""What lies between the event and what it is told of: "preceded the alert by 420 s"."""
_OFFSET_BEHIND: Final = re.compile(
    r"[ -]?(?:s|secs?|seconds?)\b,? (?:before|prior|ahead|earlier|later|after|following)",
    re.IGNORECASE,
)
_MAY_STAND_BEFORE: Final = re.compile(
    r"""(?:^|%\s|[\w()\[\],;:="'\u2018-\u201f\U000f0000-\U000ffffd])\s*$"""
)


def signed(text: str) -> str:
    """The text with the sign before a number as a sign: any dash is a minus.

    >>> signed("from minus 20 to negative 3")
    'from -20 to -3'
    """
    return _SIGN_WORD.sub("-", text)


def written(found: re.Match[str]) -> str:
    r"""The number with an ASCII minus if any dash stands before it, and without a plus.

    >>> [written(each) for each in NUMBER.finditer("from +3.5 ms to \u22122e5, - 4 and 7%")]
    ['3.5', '-2e5', '-4', '7']
    """
    signs = _SIGNS.search(_before(found))
    is_minus = signs is not None and bool(signs[0].replace("+", "").strip())
    return f"-{found[0]}" if is_minus else found[0]


def stands_free(found: re.Match[str]) -> bool:
    """Whether nothing before the number makes it another one, like a "~" or a currency.

    >>> [stands_free(each) for each in NUMBER.finditer("from 3 (-4) to ~5 and $ 6")]
    [True, True, False, False]
    """
    before = _SIGNS.sub("", _before(found))
    return bool(_MAY_STAND_BEFORE.search(before))


def is_denied(found: re.Match[str]) -> bool:
    """Whether its clause denies the number: "did not reach 3"."""
    return bool(_DENIED.search(_before(found, _CLAUSE_CHARS)))


def is_difference(found: re.Match[str]) -> bool:
    """Whether it is told as what lies between two others: "rose by 3"; only offsets are that."""
    before = _before(found, _CLAUSE_CHARS)
    return bool(_DIFFERENCE.search(before)) and not _OFFSET.search(before)


def is_offset(found: re.Match[str]) -> bool:
    """Whether it is told as the time from one thing to another.

    >>> texts = ["3 s before", "3 seconds ago, prior", "preceded the alert by 3 s", "rose by 3 s"]
    >>> [is_offset(each) for text in texts for each in NUMBER.finditer(text)]
    [True, False, True, False]
    """
    behind = _OFFSET_BEHIND.match(found.string, found.end())
    return bool(behind or _OFFSET.search(_before(found, _CLAUSE_CHARS)))


def _before(found: re.Match[str], chars: int = _SIGNS_CHARS_MAX) -> str:
    return found.string[max(0, found.start() - chars) : found.start()]
