"""Finds the known names in a text, each as long as possible, in time that names do not add to."""

import re
import string
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.explainer.checks.vocabulary import COMPOUND_WORDS, QUALIFYING

GLUED: Final = "\ue000"
"""Stands before a known name that is part of a longer word: that word is no known name."""

RARE: Final = "\ua66e"
"""A letter for words that stand for names: no text that holds has it, unless the evidence does."""

_BRACKETED: Final = re.compile(r"\[([.:@&#\u3002\uff0e\uff61\uff20])\]")
_MARK: Final = 0xF0000
_MARKS: Final = 60_000
_FOLD: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_START: Final = re.compile(r"(?<!\w)\S")
_GLUE: Final = r"[-./@:+=&~#\\\u2010-\u2015\u2212\uff0d]"
_BEFORE: Final = re.compile(rf"\w{_GLUE}$")
_AFTER: Final = re.compile(rf"{_GLUE}\w")
_QUALIFIED: Final = re.compile(rf"[-\u2010\u2011](?:{'|'.join(sorted(QUALIFYING))})(?![\w-])", re.I)
"""What makes no other name of a name: "cart-related"."""
_COMPOUND: Final = re.compile(rf"(?<![\w-])(?:{'|'.join(sorted(COMPOUND_WORDS))})(?![\w-])")
_LONG_DASHES: Final = frozenset("\u2013\u2014\u2015")


def fold(name: str) -> str:
    r"""The name without capitals; only those of ASCII, for other letters may look like them.

    >>> fold("Web-1"), fold("\u212a-1") == "k-1"
    ('web-1', False)
    """
    return name.lower() if name.isascii() else name.translate(_FOLD)


def raw(text: str) -> str:
    r"""The text in one line and without the brackets of `harmless`: names are compared like that.

    >>> raw("web[.]test:80  on\nuser[@]db")
    'web.test:80 on user@db'
    """
    if not text.isprintable():
        text = "".join(each if each.isprintable() else " " for each in text)
    line = " ".join(text.split())
    return _BRACKETED.sub(r"\1", line) if "[" in line else line


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """A text in which each known name is one private character."""

    text: str
    names: tuple[str, ...]

    def restore(self, part: str) -> str:
        """The part with its names back in place."""
        shown = "".join(
            self.names[ord(each) - _MARK] if ord(each) >= _MARK else each for each in part
        )
        return shown.replace(GLUED, "").strip()

    def names_in(self, part: str) -> list[str]:
        """The names in a part of the text."""
        return [self.names[ord(each) - _MARK] for each in part if ord(each) >= _MARK]


def has_name(masked: str) -> bool:
    """Whether a masked text has a known name."""
    return any(ord(each) >= _MARK for each in masked)


def said(masked: str, words: Sequence[str]) -> str:
    """A masked text with a word in place of each name, in their order."""
    left = iter(words)
    return "".join(next(left) if ord(each) >= _MARK else each for each in masked)


def has_phrase(text: str, phrase: str) -> bool:
    """Whether a text has a phrase whose ends are those of words.

    >>> has_phrase("connection refused", "refused"), has_phrase("connection refused", "fused")
    (True, False)
    """
    at = text.find(phrase)
    while at >= 0:
        before, after = text[max(0, at - 1) : at], text[at + len(phrase) :][:1]
        if not (before and _is_word(before)) and not (after and _is_word(after)):
            return True
        at = text.find(phrase, at + 1)
    return False


class KnownNames:
    """Names in order, each with the longest other one that it begins with.

    The names that begin a text are then the one just before the text in that order and those it
    leads to: a search costs the logarithm of the number of names.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """`names` in any order and case."""
        self._names = sorted({fold(name) for name in names})
        self._chars_max = max(map(len, self._names), default=0)
        self._shorter: list[int] = []
        open_ones: list[int] = []
        for place, name in enumerate(self._names):
            while open_ones and not name.startswith(self._names[open_ones[-1]]):
                open_ones.pop()
            self._shorter.append(open_ones[-1] if open_ones else -1)
            open_ones.append(place)

    def mask(self, text: str, also: Mapping[int, int]) -> Masked:
        """Takes the known names out of a text, and marks those that are glued to other words.

        `also` are more of them: where they begin, and where they end.

        >>> found = KnownNames(["web", "web-1"]).mask("Web-1 and web's, but not web-1-db", {})
        >>> found.names, GLUED in found.text
        (('Web-1', 'web'), True)
        """
        folded, done = fold(text), 0
        parts: list[str] = []
        names: list[str] = []
        spans: list[tuple[int, int]] = []
        plain = {at for found in _COMPOUND.finditer(folded) for at in range(*found.span())}
        for start in (found.start() for found in _START.finditer(text)):
            if start in plain or start < done or len(spans) >= _MARKS:
                continue
            size = max(next(self._sizes_at(folded, start), 0), also.get(start, 0) - start)
            if size <= 0:
                continue
            spans.append((start, done := start + size))
        starts, ends = {start for start, _ in spans}, {end for _, end in spans}
        done = 0
        for start, end in spans:
            parts.append(text[done:start])
            done = end
            if _is_glued(text, start, end, starts, ends):
                parts.append(GLUED + text[start:end])
            else:
                parts.append(chr(_MARK + len(names)))
                names.append(text[start:end])
        return Masked(text="".join([*parts, text[done:]]), names=tuple(names))

    def _sizes_at(self, folded: str, start: int) -> Iterator[int]:
        """Lengths of the names there that end where a word ends, the longest first."""
        ahead = folded[start : start + self._chars_max]
        place = bisect_right(self._names, ahead) - 1
        while place >= 0:
            name = self._names[place]
            end = start + len(name)
            if ahead.startswith(name) and not (end < len(folded) and _is_word(folded[end])):
                yield len(name)
            place = self._shorter[place]


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def _is_glued(
    text: str, start: int, end: int, starts: Collection[int], ends: Collection[int]
) -> bool:
    """Whether a sign ties the name to a word.

    Long dashes between words are punctuation, and a slash may stand between two names.
    """
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    is_led = _BEFORE.search(before) and before[-1] not in _LONG_DASHES
    is_followed = _AFTER.match(after) and after[0] not in _LONG_DASHES
    is_followed = is_followed and not _QUALIFIED.match(text, end)
    return bool(
        (is_led and not (before[-1] == "/" and start - 1 in ends))
        or (is_followed and not (after[0] == "/" and end + 1 in starts))
    )
