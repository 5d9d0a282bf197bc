"""Whether the words of a sentence are plain words: no foreign name, number, time or order."""

import re
from collections.abc import Collection
from typing import Final

from services.explainer.checks.known import GLUED, has_name
from services.explainer.checks.vocabulary import (
    ADVERBS,
    COMPOUND_WORDS,
    FUNCTION_WORDS,
    INFRASTRUCTURE,
    NUMBER_WORDS,
    PLAIN_WORDS,
    PLURALS,
    PRODUCTS,
    QUALIFYING,
    STATES,
    TIME_WORDS,
)

_UNSAFE: Final = re.compile(
    r"[<>`{}|\\$^~*@#]|;(?! )|//|\]\(|\]:|&(?! )|\bwww\b|\b(?:javascript|vbscript|data|mailto) ?:"
    r"|\b(?:rm|sudo|curl|wget|chmod|eval)\b",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"\w+")
_IDENTIFIER: Final = re.compile(r"[A-Za-z][\w.:/@-]{0,128}\w")
_SHORT_FOR: Final = re.compile(
    r"\b(?:i\.e|e\.g)\.(?= )|(?<![\w/])(?:I/O|TCP/IP|SSL/TLS|CI/CD|and/or)(?![\w/])", re.IGNORECASE
)
_MADE_UP: Final = re.compile(r"[_/:@]|\w\.\w|[A-Za-z]\d|\d[A-Za-z]|[a-z][A-Z]")
_KINDS: Final = "service|pod|host|node|container|deployment|database|instance|server"
_MASK: Final = r"[\U000f0000-\U000ffffd]"
_IS_MASK: Final = rf" (?:\(?|(?:is|was|are|were|seems to be|remains|called|named) ){_MASK}"
_BEFORE_A_KIND: Final = re.compile(
    rf"(?<![\w-])([\w-]{{1,64}}) (?:{_KINDS})\b(?!{_IS_MASK})", re.IGNORECASE
)
_AFTER_A_KIND: Final = re.compile(
    rf"(?<!{_MASK} )\b(?:{_KINDS}) (?!{_MASK})([\w-]{{1,64}})", re.IGNORECASE
)
"""A kind that has a known name beside it has a name; the next word is none then."""
_VERB: Final = re.compile(
    r"saw|sees|keeps?|kept|shows?|hits?|took|takes|got|gets|ran|lost|grew|\w{3,}[^aeiou\W]ed"
)
_CAPITAL: Final = re.compile(
    r"(?<![\w-])[A-Z][\w\u2010\u2011-]{1,64}|\A[a-z][\w\u2010\u2011-]{1,64}"
)
_COMPOUND: Final = re.compile(r"(?<![\w-])[A-Za-z]{1,64}(?:[-\u2010\u2011][A-Za-z]{1,64})+")
_HYPHEN: Final = re.compile(r"[-\u2010\u2011]")
_BEGINS: Final = re.compile(r"(?:^|[:.\u2014])[\s\"'(\u2018\u201c]{0,4}$")
_AFTER_A_VERB: Final = re.compile(
    r" (?:the|an?|its|their|this|that|these|those|any|all|each|every|what|who|why|how|whether)\b"
    r"| (?=[\U000f0000-\U000ffffd])"
)
_QUALIFYING: Final = rf"(?:{'|'.join(sorted(QUALIFYING))})"
_LOWER: Final = re.compile(r" (?:back |over |out |up |in |down |off )?[a-z\U000f0000-\U000ffffd]")
_MANY: Final = "|".join(sorted(PLURALS))
_AS_A_SUBJECT: Final = re.compile(
    rf" (?:(?:\w+ly|{ADVERBS}) )*(?:{STATES}|(?!(?:{_MANY})\b)[a-z]+(?:ed|[^s]s))\b"
)
"""What says that the word before it is somebody: "Zephyr is", not "Rotate old"."""
_LOOSE: Final = re.compile(
    r"\s[-./@:+=]+(?:[^\W\d]|[\U000f0000-\U000ffffd])"
    rf"|[\U000f0000-\U000ffffd](?:-(?!{_QUALIFYING}\b)|[@+=]|/(?![\U000f0000-\U000ffffd]))"
    r"|(?:[)\]\u201d]|(?<![\s(])\")[-./@+=]?[\w\U000f0000-\U000ffffd]"
)
"""What is put beside a name so that it can be read as a part of it."""
_MEASURES: Final = re.compile(
    r"\b(?:[kmgtp]i?b|[kmgt]?bps|(?:kilo|mega|giga|tera|peta)(?:bytes?|bits?)?|ms|ns|[\u00b5\u03bc]s"
    r"|(?:milli|micro|nano)seconds?|[kmg]?hz|permille|promille)\b",
    re.IGNORECASE,
)
_PRODUCT_NAMES: Final = {"postgresql": "postgres", "postgres": "postgresql", "k8s": "kubernetes"}
_SIGNS: Final = frozenset("\u2018\u2019\u201c\u201d\u2026\u2013\u2014\u2010\u2011\u2022\u2212")


_BANNED: Final = (NUMBER_WORDS, TIME_WORDS, _UNSAFE, _LOOSE, _MEASURES)


def are_plain(sentence: str, words: Collection[str]) -> bool:
    """Whether a sentence without its numbers has no other number, no foreign name and no order.

    Args:
        sentence: With its names masked.
        words: Lower-case words of the evidence; each may stand.
    """
    if GLUED in sentence or any(each.isnumeric() for each in sentence):
        return False
    if any(banned.search(sentence) for banned in _BANNED):
        return False
    identifiers = _IDENTIFIER.findall(_SHORT_FOR.sub(" ", sentence))
    if any(_MADE_UP.search(each) and each.lower() not in PRODUCTS for each in identifiers):
        return False
    return (
        _is_in_script(sentence, words)
        and all(_is_plain(each, words) for each in _things(sentence))
        and not any(_is_service_like(each, words) for each in _COMPOUND.findall(sentence))
        and all(_may_be_capital(each, words) for each in _CAPITAL.finditer(sentence))
    )


def _is_in_script(sentence: str, words: Collection[str]) -> bool:
    """Whether letters that are not English stand in words of the evidence only."""
    if sentence.isascii():
        return True
    foreign = (each for each in _WORD.findall(sentence) if not each.isascii())
    signs = (each for each in sentence if not each.isascii() and not each.isalnum())
    return all(each.lower() in words for each in foreign) and all(
        each in _SIGNS or has_name(each) for each in signs
    )


def _things(sentence: str) -> list[str]:
    """Words where names stand: beside "service" and the like; and the products that all know."""
    beside = [*_BEFORE_A_KIND.findall(sentence), *_AFTER_A_KIND.findall(sentence)]
    named = [each for each in beside if not _VERB.fullmatch(each)]
    return named + [each for each in _WORD.findall(sentence) if each.lower() in PRODUCTS]


def _is_plain(word: str, words: Collection[str]) -> bool:
    """Whether a word, or each part of it, is a plain one or one of the evidence."""
    lower = word.lower()
    if lower in PLAIN_WORDS or lower in words or _PRODUCT_NAMES.get(lower) in words:
        return True
    if lower in COMPOUND_WORDS:
        return True
    *parts, last = _HYPHEN.split(lower)
    return bool(parts) and all(
        each in PLAIN_WORDS or each in words
        for each in (parts if last in QUALIFYING else [*parts, last])
    )


def _is_service_like(compound: str, words: Collection[str]) -> bool:
    parts = _HYPHEN.split(compound.lower())
    if compound.lower() in words or parts[0] in FUNCTION_WORDS:
        return False
    if parts[-1] in QUALIFYING or compound.lower() in COMPOUND_WORDS:
        return False
    return any(each in INFRASTRUCTURE for each in parts)


def _may_be_capital(found: re.Match[str], words: Collection[str]) -> bool:
    """Whether a capital is that of a plain word, or of an order such as "Throttle the …"."""
    if _is_plain(found[0], words):
        return True
    text = found.string
    if not _BEGINS.search(text[max(0, found.start() - 8) : found.start()]):
        return False
    if not (found[0].isalpha() and found[0][1:].islower()):
        return False
    if found[0].endswith("ly") or _AFTER_A_VERB.match(text, found.end()):
        return True
    end = found.end()
    return bool(_LOWER.match(text, end)) and not _AS_A_SUBJECT.match(text, end)
