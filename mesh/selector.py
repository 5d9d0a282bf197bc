"""Prometheus series selectors: `cpu_usage{host="a",core=~"[0-3]"}`, parsed and matched.

Regular expressions are RE2: anchored at both ends and linear in time, whoever wrote them.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import re2  # type: ignore[import-untyped]

METRIC_NAME: Final = "__name__"
MAX_SELECTOR_CHARS: Final = 4096

Operator = Literal["=", "!=", "=~", "!~"]

_SPACE: Final = re.compile(r"\s*")
_METRIC: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OPERATOR: Final = re.compile(r"=~|!~|!=|=")
_RAW: Final = re.compile(r"`([^`]*)`")
_QUOTED: Final = re.compile(r'"((?:[^"\\\n]|\\.)*)"|' + r"'((?:[^'\\\n]|\\.)*)'")
_ESCAPE: Final = re.compile(
    r"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|([0-3][0-7]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))"
)
_LITERAL: Final = re.compile(r"(?:[^\\.+*?()|\[\]{}^$\0]|\\[^0-9A-Za-z\0])+", re.DOTALL)
_LISTED: Final = re.compile(rf"{_LITERAL.pattern}(?:\|{_LITERAL.pattern})*", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_PUNCTUATION: Final = re.compile(r"[\\.+*?()|\[\]{}^$]")
_PLAIN_ESCAPES: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
}  # fmt: skip


class SelectorError(ValueError):
    """A text is no selector; the message names the place, counted from 1."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label. An absent label has the empty value."""

    name: str
    operator: Operator
    value: str
    pattern: Any = None

    def matches(self, value: str) -> bool:
        """Whether a label with this value satisfies the condition."""
        if self.pattern is None:
            return (value == self.value) is (self.operator == "=")
        return (self.pattern.fullmatch(value) is not None) is (self.operator == "=~")


@dataclass(frozen=True, slots=True)
class Selector:
    """All of its matchers must hold; without any it matches everything."""

    matchers: tuple[Matcher, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a label set is selected."""
        return all(each.matches(labels.get(each.name, "")) for each in self.matchers)

    def equalities(self) -> dict[str, str]:
        """Labels that every selected set must have: a filter for an index, not the whole truth."""
        return {m.name: m.value for m in self.matchers if m.operator == "=" and _indexed(m.value)}

    def undecided(self) -> list[str]:
        """Names of the labels on which more is asked than `equalities` says, in order.

        >>> parse('cpu{host!="b",core=~"[0-3]",rack=""}').undecided()
        ['core', 'host', 'rack']
        """
        equal = self.equalities()
        return sorted(
            {
                each.name
                for each in self.matchers
                if each.operator != "=" or equal.get(each.name) != each.value
            }
        )

    def alternatives(self) -> list[dict[str, str]]:
        """Label sets of which every selected one holds at least one: a filter for an index.

        `equalities`, once for each text where an expression is a mere list of texts.

        >>> parse('cpu{host=~"a|b"}').alternatives()
        [{'__name__': 'cpu', 'host': 'a'}, {'__name__': 'cpu', 'host': 'b'}]
        """
        equal = self.equalities()
        listing = (m for m in self.matchers if m.operator == "=~" and _LISTED.fullmatch(m.value))
        listed = next((each for each in listing if each.name not in equal), None)
        if listed is None:
            return [equal]
        texts = (
            re.sub(r"\\(.)", r"\1", each, flags=re.DOTALL)
            for each in _LITERAL.findall(listed.value)
        )
        return [equal | {listed.name: text} for text in dict.fromkeys(texts)]


def parse(text: str) -> Selector:
    """Parses a selector; an empty text selects everything.

    Raises:
        SelectorError: With the place and what was expected there.
    """
    if len(text) > MAX_SELECTOR_CHARS:
        raise SelectorError(f"a selector has at most {MAX_SELECTOR_CHARS} characters")
    return _Parser(text).selector()


def written(metric: str, labels: Mapping[str, str]) -> str:
    r"""The selector of every series with this metric name, if any, and these labels.

    >>> written("cpu", {"__name__": "cpu", "host": 'a"b'}), written("up", {})
    ('cpu{host="a\\"b"}', 'up')
    >>> written("http.requests", {"service.name": "api"})
    '{"http.requests","service.name"="api"}'
    """
    return _written(metric, {name: ("=", value) for name, value in labels.items()})


def written_any(metric: str, labels: Mapping[str, str], name: str, values: Iterable[str]) -> str:
    r"""The same, of those series whose label `name` has one of these values.

    >>> written_any("cpu", {"job": "node"}, "host", ["a.b", "c"])
    'cpu{host=~"a\\\\.b|c",job="node"}'
    """
    listed = "|".join(_PUNCTUATION.sub(r"\\\g<0>", each) for each in values)
    equal = {label: ("=", value) for label, value in labels.items()}
    return _written(metric, equal | {name: ("=~", listed)})


def _written(metric: str, conditions: Mapping[str, tuple[str, str]]) -> str:
    matchers = [
        f"{_named(name)}{operator}{_quoted(value)}"
        for name, (operator, value) in sorted(conditions.items())
        if name != METRIC_NAME
    ]
    if _METRIC.fullmatch(metric):
        return f"{metric}{{{','.join(matchers)}}}" if matchers else metric
    return "{" + ",".join([_quoted(metric), *matchers] if metric else matchers) + "}"


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._skip(_SPACE)

    def selector(self) -> Selector:
        matchers: list[Matcher] = []
        if metric := self._skip(_METRIC):
            matchers.append(Matcher(METRIC_NAME, "=", metric))
        if self._takes("{"):
            self._matchers(matchers)
        if self._place < len(self._text):
            raise self._error("expected '{' or the end")
        if sum(each.name == METRIC_NAME for each in matchers) > 1 and metric:
            raise SelectorError("the metric name is set twice: before the braces and in them")
        return Selector(tuple(matchers))

    def _matchers(self, matchers: list[Matcher]) -> None:
        while not self._takes("}"):
            matchers.append(self._matcher())
            if not self._takes(","):
                if not self._takes("}"):
                    raise self._error("expected ',' or '}'")
                return

    def _matcher(self) -> Matcher:
        name = self._skip(_LABEL)
        if not name:
            return self._quoted_name()
        operator = self._skip(_OPERATOR)
        if not operator:
            raise self._error("expected one of = != =~ !~")
        return self._checked(name, operator, self._string())

    def _quoted_name(self) -> Matcher:
        """A metric name of free form: `{"http.requests", job="api"}`; or a quoted label name."""
        if self._text[self._place : self._place + 1] not in ('"', "'", "`"):
            raise self._error("expected a label name")
        name = self._string()
        operator = self._skip(_OPERATOR)
        if not operator:
            return Matcher(METRIC_NAME, "=", name)
        return self._checked(name, operator, self._string())

    def _checked(self, name: str, operator: str, value: str) -> Matcher:
        if operator in ("=", "!="):
            return Matcher(name, "=" if operator == "=" else "!=", value)
        try:
            pattern = re2.compile(value, _options())
        except re2.error as error:
            raise self._error(f"bad regular expression {value!r}: {_reason(error)}") from None
        return Matcher(name, "=~" if operator == "=~" else "!~", value, pattern)

    def _string(self) -> str:
        start = self._place
        if (raw := _RAW.match(self._text, start)) is not None:
            self._advance(raw.end())
            return raw[1]
        quoted = _QUOTED.match(self._text, start)
        if quoted is None:
            raise self._error("expected a quoted value")
        body = quoted[1] if quoted[1] is not None else quoted[2]
        value = self._unescaped(body)
        self._advance(quoted.end())
        return value

    def _unescaped(self, body: str) -> str:
        rest = _ESCAPE.sub("", body)
        if "\\" in rest:
            raise self._error("unknown escape sequence in")
        try:
            return _ESCAPE.sub(_replacement, body)
        except (ValueError, OverflowError):
            raise self._error("escape sequence of no character in") from None

    def _takes(self, mark: str) -> bool:
        if not self._text.startswith(mark, self._place):
            return False
        self._advance(self._place + len(mark))
        return True

    def _skip(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._place)
        if found is None or not found[0]:
            return ""
        self._advance(found.end())
        return found[0]

    def _advance(self, place: int) -> None:
        space = _SPACE.match(self._text, place)
        self._place = space.end() if space else place

    def _error(self, expected: str) -> SelectorError:
        seen = self._text[self._place : self._place + 20] or "the end"
        return SelectorError(f"at character {self._place + 1} ({seen!r}): {expected}")


def _named(label: str) -> str:
    return label if _LABEL.fullmatch(label) else _quoted(label)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _indexed(value: str) -> bool:
    """An empty value means an absent label; a NUL no label has and no database takes."""
    return value != "" and "\0" not in value


def _replacement(found: re.Match[str]) -> str:
    plain, *codes = found.groups()
    if plain:
        return _PLAIN_ESCAPES.get(plain, plain)
    for code, base in zip(codes, (16, 8, 16, 16), strict=True):
        if code:
            number = int(code, base)
            if 0xD800 <= number <= 0xDFFF:
                raise ValueError("surrogate")
            return chr(number)
    raise ValueError("empty escape")


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    return options


def _reason(error: Exception) -> str:
    cause = error.args[0] if error.args else error
    return cause.decode() if isinstance(cause, bytes) else str(cause)
