"""Reads JSON while it is still being written, to show its texts as they come."""

from typing import Final

from services.explainer.model.names import harmless
from services.explainer.wording.answer import THOUGHT_BEGINS, THOUGHT_ENDS

_ESCAPED: Final = {"n": "\n", "t": " ", "r": " ", "b": " ", "f": " "}

_WORD_CHARS_MAX: Final = 200


class WithoutThoughts:
    """Takes an answer in pieces and leaves out the thoughts that it begins with.

    >>> said = WithoutThoughts()
    >>> [said.feed(piece) for piece in (" <th", 'ink>{"a": "b"}</th', 'ink>{"c', '": 1}')]
    ['', '', '{"c', '": 1}']
    """

    def __init__(self) -> None:
        """Nothing read yet."""
        self._held = ""
        self._mark = THOUGHT_BEGINS

    def feed(self, piece: str) -> str:
        """What this piece says; nothing until it is clear whether it is thought or said."""
        if not self._mark:
            return piece
        self._held += piece
        if self._mark == THOUGHT_BEGINS:
            text = self._held.lstrip()
            if not text.startswith(THOUGHT_BEGINS):
                return "" if THOUGHT_BEGINS.startswith(text) else self._rest(self._held)
            self._mark, self._held = THOUGHT_ENDS, text[len(THOUGHT_BEGINS) :]
        _, found, said = self._held.partition(THOUGHT_ENDS)
        if found:
            return self._rest(said)
        self._held = self._held[-len(THOUGHT_ENDS) :]
        return ""

    def _rest(self, said: str) -> str:
        self._mark = self._held = ""
        return said


class StringValues:
    r"""Takes JSON in pieces and gives back the text inside its string values.

    >>> values = StringValues()
    >>> [values.feed(piece) for piece in ('{"cause": "cp', 'u ro', 'se", "sum', 'mary": "x"}')]
    ['cp', 'u ro', 'se\n', 'x\n']

    Attributes:
        chars: Characters of all values so far.
        longest_chars: Characters of the longest value so far.
    """

    def __init__(self) -> None:
        """Nothing read yet."""
        self._inside = False
        self._is_value = False
        self._escape = ""
        self._value_chars = 0
        self.chars = 0
        self.longest_chars = 0

    def feed(self, piece: str) -> str:
        """The text that this piece adds."""
        return "".join(self._next(each) for each in piece)

    def _next(self, char: str) -> str:
        if not self._inside:
            return self._between(char)
        if self._escape:
            return self._escaped(char)
        if char == "\\":
            self._escape = char
            return ""
        if char == '"':
            self._inside = False
            return "\n" if self._is_value else ""
        return self._said(char)

    def _between(self, char: str) -> str:
        if char == '"':
            self._inside = True
            self._value_chars = 0
        elif char in ":,{":
            self._is_value = char == ":"
        return ""

    def _escaped(self, char: str) -> str:
        self._escape += char
        if self._escape[1] != "u":
            self._escape = ""
            return self._said(_ESCAPED.get(char, char))
        if len(self._escape) < 6:
            return ""
        code, self._escape = self._escape[2:], ""
        try:
            return self._said(chr(int(code, 16)))
        except ValueError:
            return ""

    def _said(self, char: str) -> str:
        if not self._is_value:
            return ""
        self.chars += 1
        self._value_chars += 1
        self.longest_chars = max(self.longest_chars, self._value_chars)
        return char if char == "\n" or char.isprintable() else " "


class WholeWords:
    r"""Makes text harmless that comes in pieces; the last word waits until it is whole.

    What would act in two pieces is so never told in two pieces. A word that does not end is
    cut at 200 characters by a blank.

    >>> words = WholeWords()
    >>> [words.feed(piece) for piece in ("see [x]", "(//ev", "il.test) @he", "re\n")], words.rest()
    (['see ', '', '[x] (//evil[.]test) ', '[@]here\n'], '')
    """

    def __init__(self) -> None:
        """Nothing read yet."""
        self._waiting = ""

    def feed(self, piece: str) -> str:
        """The whole words that are not told yet."""
        text = self._waiting + piece
        end = max(text.rfind(" "), text.rfind("\n")) + 1
        self._waiting = text[end:]
        told = harmless(text[:end])
        while len(self._waiting) > _WORD_CHARS_MAX:
            told += f"{harmless(self._waiting[:_WORD_CHARS_MAX])} "
            self._waiting = self._waiting[_WORD_CHARS_MAX:]
        return told

    def rest(self) -> str:
        """The last word, at the end."""
        told, self._waiting = harmless(self._waiting), ""
        return told
