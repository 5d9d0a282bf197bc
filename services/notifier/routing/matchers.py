"""Matchers as Alertmanager reads them: `severity="critical"`, `{team=~"a|b", tier!="test"}`."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import re2  # type: ignore[import-untyped]

_MATCHER: Final = re.compile(
    r'\s*(?:([a-zA-Z_:][a-zA-Z0-9_:]*)|"((?:[^"\\]|\\.)*)")\s*(=~|=|!=|!~)\s*(.*?)\s*', re.DOTALL
)
_VALUE_CHARS_MAX: Final = 4096


class MatcherError(ValueError):
    """A text is no matcher; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label. An absent label has the empty value."""

    name: str
    operator: str
    value: str
    pattern: Any = field(default=None, compare=False, repr=False)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a label set satisfies it."""
        value = labels.get(self.name, "")
        if self.pattern is None:
            return (value == self.value) is (self.operator == "=")
        return (self.pattern.fullmatch(value) is not None) is (self.operator == "=~")

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.name}{self.operator}"{escaped}"'


Matchers = tuple[Matcher, ...]


def match_all(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether all hold; true of none."""
    return all(each.matches(labels) for each in matchers)


def written(matchers: Iterable[Matcher]) -> str:
    """All in braces.

    >>> written(parse('a="1",b!~"x.*"'))
    '{a="1",b!~"x.*"}'
    """
    return "{" + ",".join(map(str, matchers)) + "}"


def matcher(name: str, operator: str, value: str) -> Matcher:
    """One matcher.

    Raises:
        MatcherError: The regular expression cannot be read.
    """
    if len(value) > _VALUE_CHARS_MAX:
        raise MatcherError(f"the value of {name} has more than {_VALUE_CHARS_MAX} characters")
    if operator in ("=", "!="):
        return Matcher(name, operator, value)
    options = re2.Options()
    options.log_errors = False
    try:
        return Matcher(name, operator, value, re2.compile(value, options))
    except re2.error as error:
        cause = error.args[0] if error.args else error
        why = cause.decode() if isinstance(cause, bytes) else str(cause)
        raise MatcherError(f"bad regular expression {value!r}: {why}") from None


def parse(text: str) -> Matchers:
    r"""The matchers of a text, with or without braces.

    >>> parse('foo = bar')[0].value, parse('{a="x,y",b=~"c|d"}')[0].value
    ('bar', 'x,y')

    Raises:
        MatcherError: It is none.
    """
    inner = text.removeprefix("{").removesuffix("}")
    return tuple(_one(token) for token in _tokens(inner))


def _tokens(text: str) -> list[str]:
    """Parts between commas that stand in no quotes; an empty last part does not count."""
    tokens, token = [], ""
    in_quotes = escaped = False
    for each in text:
        if each == "," and not in_quotes:
            tokens.append(token)
            token = ""
            continue
        if each == '"' and not escaped:
            in_quotes = not in_quotes
        escaped = each == "\\" and not escaped
        token += each
    return [*tokens, token] if token else tokens


def _one(text: str) -> Matcher:
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise MatcherError(f'{text!r} is no matcher: write name="value", with =, !=, =~ or !~')
    name = found[1] if found[1] is not None else _unescaped(found[2])
    return matcher(name, found[3], _value(found[4]))


def _value(raw: str) -> str:
    if not raw.startswith('"'):
        if re.search(r'(?<!\\)"', raw):
            raise MatcherError(f"{raw!r} holds a quote that is not escaped")
        return _unescaped(raw)
    body = raw[1:]
    if not re.fullmatch(r'(?:[^"\\]|\\.)*"', body, re.DOTALL):
        raise MatcherError(f"{raw!r}: quote the value at both ends, and escape quotes within")
    return _unescaped(body[:-1])


def _unescaped(text: str) -> str:
    r"""`\n`, `\"` and `\\`; any other backslash stands for itself."""
    plain = {"n": "\n", '"': '"', "\\": "\\"}
    return re.sub(r"\\(.)", lambda m: plain.get(m[1], m[0]), text, flags=re.DOTALL)
