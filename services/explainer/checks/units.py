"""What may follow a number: a unit its figure has, and then only words that measure nothing."""

import re
from collections.abc import Collection
from typing import Final

SPOKEN: Final = {
    "s": ("s", "sec", "secs", "second", "seconds"),
    "%": ("%", "percent"),
    "°C": ("°c", "celsius", "degrees"),
    "1": (
        "times",
        "x",
        "\u00d7",
        "sigma",
        "sigmas",
        "\u03c3",
        "standard deviation",
        "standard deviations",
    ),
}
"""The words for a unit, by how figures are shown with it."""

RATIOS: Final = frozenset({"times", "x", "\u00d7"})
"""Words after which it must be told of what a number is the multiple."""

_MEASURES_LIST: Final = """
ms us ns \u00b5s \u03bcs msec usec nsec m min mins minute minutes h hr hrs hour hours day days week
weeks month months year years k kb mb gb tb pb kib mib gib tib pib b bit bits byte bytes kbps mbps
gbps kilobytes megabytes gigabytes terabytes petabytes milliseconds microseconds nanoseconds
hz khz mhz ghz w kw v ma pp points point fold percent percentage permille promille ppm bps rpm rps
qps per degree kelvin fahrenheit euro euros dollar dollars usd eur more less higher lower above
below over under squared cubed
"""
_MEASURES: Final = frozenset(_MEASURES_LIST.split()) | frozenset(
    word for words in SPOKEN.values() for word in words
)
"""Never taken for the name of what is counted, even where a name has such a word."""

_MAY_FOLLOW_LIST: Final = """
of at in on to from by with for and or but as than then if so since when while where which that who
is was were are be been has had have it its the this these those a an their there here before
after until till during within between through via due because not also only again still both each
all earlier later prior ahead afterwards beforehand into around about began started came
followed caused causes indicating indicates indicated showing shows showed suggesting suggests
suggested means made making leads leading confirms confirmed exceeded exceeds exceeding crossed
crossing against compared versus rose fell instead
"""
_MAY_FOLLOW: Final = frozenset(_MAY_FOLLOW_LIST.split())
_WHAT_IS_MEASURED_LIST: Final = """
cpu memory disk usage utilization utilisation load baseline level mark value threshold lead
deviation deviations spread spreads
"""
_WHAT_IS_MEASURED: Final = frozenset(_WHAT_IS_MEASURED_LIST.split())
_WHAT_IS_COUNTED: Final = frozenset(
    {"series", "alert", "alerts", "suspect", "suspects", "anomaly", "anomalies"}
)
_NO_ADVERBS: Final = frozenset(
    {"hourly", "daily", "weekly", "monthly", "yearly", "nightly", "fully"}
)
_UNIT: Final = re.compile(
    r"[ -]?(standard deviations?|per second|/s|°[A-Za-z]*|[^\W\d_]{1,40}|[^\w\s])(?!\w)"
)
_NEXT: Final = re.compile(
    r"""[\s("'\[\u2018-\u201f]*(?:(?P<word>(?:°|\w)[\w°]*)|(?P<sign>[^\w\s])(?P<after>.?))?""",
    re.DOTALL,
)
_ENDS: Final = frozenset(".,;:!?)]\"'\u2013\u2014\u2018\u2019\u201c\u201d\u2026")
_OF_WHAT: Final = re.compile(
    r"[^.;]{0,40}?\b(?:spreads?|deviations?|variations?|sigmas?|noise|range)\b", re.IGNORECASE
)
_NAME: Final = 0xF0000
_WITH_UNIT: Final = re.compile(r"\d+(?:\.\d+)? ?(?:s|secs?|seconds?|%|percent|\u00b0C)(?!\w)")
"""Another figure that cannot be read as the rest of the one before it: "to 18.7 60 s before"."""


def end_of_unit(text: str, at: int, units: Collection[str]) -> int:
    """Where the unit behind a number ends, when it is one of these; otherwise where it began.

    >>> end_of_unit("90.4 percent of it", 4, SPOKEN["%"]), end_of_unit("90.4 ms", 4, SPOKEN["%"])
    (12, 4)
    """
    found = _UNIT.match(text, at)
    if found is None or found[1].lower() not in units:
        return at
    if found[1].lower() in RATIOS and not _OF_WHAT.match(text, found.end()):
        return at
    return found.end()


def may_follow(text: str, at: int, *, told: bool, counts: bool, words: Collection[str]) -> bool:
    """Whether what follows a number and its unit leaves it what it is.

    Args:
        text: A sentence with its names masked and without citations.
        at: Where the number and its unit end.
        told: Its unit was told.
        counts: Its figure has no unit, so it may be a number of something.
        words: Words of the evidence.
    """
    found = _NEXT.match(text, at)
    if found is None or found.end() == at:
        return at == len(text)
    if found["sign"] is not None:
        return _may_end(found["sign"], found["after"], spaced=found.start("sign") > at)
    if found["word"] is None:
        return True
    word = found["word"].lower()
    if found.start("word") == at or word in _MEASURES:
        return False
    if word[0].isdigit():
        return told or (counts and _WITH_UNIT.match(text, found.start("word")) is not None)
    if word in _MAY_FOLLOW or (word.endswith("ly") and word not in _NO_ADVERBS):
        return True
    if told and word in _WHAT_IS_MEASURED:
        return True
    if counts and word in _WHAT_IS_COUNTED:
        return True
    return (told or counts) and word in words


def _may_end(sign: str, after: str, *, spaced: bool) -> bool:
    if ord(sign) >= _NAME:
        return True
    if sign == "-":
        return spaced and after == " "
    return sign in _ENDS and (spaced or not after.isalnum() or sign in "\u2013\u2014")
