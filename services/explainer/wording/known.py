"""Finds the known names in a text, each as long as possible, in time that names do not add to."""

import re
import string
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

GLUED: Final = "\ue000"
"""Stands before a known name that is part of a longer word: that word is no known name."""

RARE: Final = "\ua66e"
"""A letter for words that stand for names: no text that holds has it, unless the evidence does."""

_MARK: Final = 0xF0000
_MARKS: Final = 60_000
_FOLD: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_START: Final = re.compile(r"(?<!\w)\S")
_GLUE: Final = r"[-./@:+=&~#\\\u2010-\u2015\u2212\uff0d]"
_BEFORE: Final = re.compile(rf"\w{_GLUE}$")
_AFTER: Final = re.compile(rf"{_GLUE}\w")
_LONG_DASHES: Final = frozenset("\u2013\u2014\u2015")


def fold(name: str) -> str:
    r"""The name without capitals; only those of ASCII, for other letters may look like them.

    >>> fold("Web-1"), fold("\u212a-1") == "k-1"
    ('web-1', False)
    """
    return name.lower() if name.isascii() else name.translate(_FOLD)


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
        for start in (found.start() for found in _START.finditer(text)):
            if start < done or len(names) >= _MARKS:
                continue
            size = max(next(self._sizes_at(folded, start), 0), also.get(start, 0) - start)
            if size <= 0:
                continue
            parts.append(text[done:start])
            done = start + size
            if _is_glued(text, start, done):
                parts.append(GLUED + text[start:done])
            else:
                parts.append(chr(_MARK + len(names)))
                names.append(text[start:done])
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


def _is_glued(text: str, start: int, end: int) -> bool:
    """Whether a sign ties the name to a word; long dashes between words are punctuation."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    return bool(
        (_BEFORE.search(before) and before[-1] not in _LONG_DASHES)
        or (_AFTER.match(after) and after[0] not in _LONG_DASHES)
    )
