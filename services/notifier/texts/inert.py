"""Foreign text made harmless: one line, no control characters, nothing that becomes a link."""

import re
import unicodedata
from html import escape
from typing import Final

_LINKS: Final = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,15}):(?=//)|\b(www)\.|\b(mailto|tel):")
_GAP: Final = "\u200b"
_KEPT: Final = frozenset({"\u200c", "\u200d"})
"""Joiners, which scripts need; other format characters turn text around or hide it."""


def one_line(text: str, at_most: int = 300) -> str:
    r"""The text in one line without control or format characters, cut at `at_most`.

    >>> one_line("a\r\nBcc: x\u202e\x00b")
    'a Bcc: xb'
    """
    cleaned = "".join(_cleaned(each) for each in text[: 4 * at_most])
    return _cut(" ".join(cleaned.split()), at_most)


def inert(text: str, at_most: int = 300) -> str:
    """One line in which no program finds an address to link to: a gap that nobody sees breaks it.

    >>> inert("see http://evil.example/x") == "see http:" + chr(0x200b) + "//evil.example/x"
    True
    """
    return _cut(_LINKS.sub(_broken, one_line(text, at_most)), at_most)


def for_html(text: str, at_most: int = 300) -> str:
    """Inert, and text in HTML.

    >>> for_html('<b a="1">')
    '&lt;b a=&quot;1&quot;&gt;'
    """
    return escape(inert(text, at_most))


def for_slack(text: str, at_most: int = 300) -> str:
    """Inert, and text in Slack's markup: nobody is mentioned, nothing is formatted.

    >>> for_slack("<!channel> & @U1") == "&lt;!channel&gt; &amp; @" + chr(0x200b) + "U1"
    True
    """
    plain = inert(text, at_most)
    escaped = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"(?<!\w)@(?=\w)", "@" + _GAP, escaped)


def for_journal(text: str, at_most: int = 300) -> str:
    """Inert, and text in ServiceNow's journals, where `[code]` would begin HTML.

    >>> for_journal("[code]<script>") == "[" + chr(0x200b) + "code]<script>"
    True
    """
    return _cut(re.sub(r"(?i)\[(?=/?code\])", "[" + _GAP, inert(text, at_most)), at_most)


def _cut(line: str, at_most: int) -> str:
    return line if len(line) <= at_most else line[: at_most - 1] + "…"


def _cleaned(character: str) -> str:
    if character.isspace():
        return " "
    category = unicodedata.category(character)
    if category in ("Cc", "Cs", "Co", "Cn") or (category == "Cf" and character not in _KEPT):
        return ""
    return character


def _broken(found: re.Match[str]) -> str:
    mark = "." if found[2] else ":"
    word = found[1] or found[2] or found[3]
    return f"{word}{_GAP}{mark}" if found[2] else f"{word}{mark}{_GAP}"
