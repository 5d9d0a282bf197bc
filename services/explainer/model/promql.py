"""Metrics and bounds found in rules and in texts."""

import re
from collections.abc import Iterable
from typing import Final

_METRIC: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_NAME_NOT_CALLED: Final = re.compile(r"(?<![\w:])[a-zA-Z_:][a-zA-Z0-9_:]*(?![\w:])(?!\s*\()")
_GROUPING: Final = re.compile(
    r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", re.IGNORECASE
)
_LITERAL: Final = re.compile(r"\{[^}]*\}|\"[^\"]*\"|'[^']*'|\[[^\]]*\]")
_BARE_BOUND: Final = re.compile(
    r"\s*+[a-zA-Z_:][a-zA-Z0-9_:]*+\s*+(?:\{[^}]*+\}\s*+)?(>=|<=|==|>|<)\s*+"
    r"([-+]?\d++(?:\.\d++)?(?:e[-+]?\d++)?)\s*+"
)
_KEYWORDS: Final = frozenset(
    "and or unless by without on ignoring group_left group_right bool offset inf nan".split()  # noqa: SIM905
)


def metrics_of_rule(expression: str) -> list[str]:
    """The metrics a rule is about, in order of appearance.

    >>> metrics_of_rule('sum by (job) (rate(http_errors_total{code="5.."}[5m])) > 3 and up == 1')
    ['http_errors_total', 'up']
    """
    bare = _LITERAL.sub(" ", _GROUPING.sub(" ", expression))
    found = (name for name in _NAME_NOT_CALLED.findall(bare))
    return list(dict.fromkeys(name for name in found if name.lower() not in _KEYWORDS))


def metrics_in_words(texts: Iterable[str]) -> list[str]:
    """Words of texts that look like metric names: those with an underscore inside.

    >>> metrics_in_words(["cpu_usage of web-1 is too high", "see cpu_usage"])
    ['cpu_usage']
    """
    found = (word for text in texts for word in _METRIC.findall(text))
    return list(dict.fromkeys(word for word in found if "_" in word.strip("_")))


def bound_of_rule(rule: str) -> tuple[str, float] | None:
    """The operator and value of a rule that compares a bare metric; None for any other rule.

    >>> bound_of_rule('cpu_usage{host="a"} > 80'), bound_of_rule("rate(errors[5m]) > 1")
    (('>', 80.0), None)
    """
    found = _BARE_BOUND.fullmatch(rule)
    return (found[1], float(found[2])) if found else None
