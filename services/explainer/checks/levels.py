"""What a number is told as: a level before or at the event, or what no figure is.

Figures are levels, sizes and offsets. None of them is a difference ("increased 99 %"), a share of
something ("99 % of requests"), a bound ("at most"), a mean ("on average") or a duration.
"""

import re
from collections.abc import Collection
from typing import Final

from services.explainer.checks.holders import BASELINE, OBSERVED, Holders
from services.explainer.checks.numbers import NUMBER, is_offset, written

_CHARS: Final = 70
_ABOUT_WORD: Final = r"(?:about|around|some|nearly|roughly|just|only|approximately|almost|an?|the)"
_ABOUT: Final = rf"(?:{_ABOUT_WORD} )"
_MASK: Final = r"[\U000f0000-\U000ffffd]"
_NOUN: Final = (
    r"(?:increase|rise|growth|jump|surge|spike|gain|climb|drop|decrease|decline|fall|reduction"
    r"|change|loss|delay|slowdown|overhead)"
)
_MOVED: Final = (
    r"(?:increas(?:ed?|es|ing)|rose|risen|rises|rising|gr[eo]wn?|growing|grows|climb(?:ed|s|ing)"
    r"|jump(?:ed|s|ing)|surg(?:ed|es|ing)|spik(?:ed|es|ing)|f[ae]ll(?:en|ing|s)?"
    r"|dropp?(?:ed|s|ing)?|decreas(?:ed?|es|ing)|declin(?:ed|es|ing)|chang(?:ed|es|ing)"
    r"|leak(?:ed|s|ing)|los[te]s?|losing|gain(?:ed|s|ing)|add(?:ed|s|ing)|sav(?:ed|es|ing)"
    rf"|delayed|went up|went down|(?:is|was|were|are) (?:up|down|{_MASK})|slowed)"
)
_DIFFERENCE: Final = re.compile(
    rf"(?:\b{_MOVED}|\b{_NOUN}s? (?:of|by)|\b(?:another|additional|extra|further)"
    rf"|\b(?:{_MOVED}|{_NOUN})(?: [a-z]+){{0,2}} by(?: [a-z]+){{0,3}}) {_ABOUT}{{0,2}}$",
    re.IGNORECASE,
)
_IS_DIFFERENCE: Final = re.compile(
    rf"[ -]?(?:%|percent|\w{{1,8}})? ?(?:CPU |memory |latency )?{_NOUN}s?\b"
    r"|[ -]?(?:%|percent|\w{1,8})? (?:longer|slower|faster|late|extra)\b",
    re.IGNORECASE,
)
_BOUND: Final = re.compile(
    rf"\b(?:at (?:most|least)|more than|less than|fewer than|no more than|average of|averaging"
    rf"|on average|upwards of) {_ABOUT}?$",
    re.IGNORECASE,
)
_IS_BOUND: Final = re.compile(
    r" ?(?:%|percent|[a-z\u00b0]{1,12})? ?,? (?:or (?:more|less|so|longer)|on average|each|apiece"
    r"|at (?:most|least)|in total|altogether|every time)\b",
    re.IGNORECASE,
)
_SHARE: Final = re.compile(r" ?(?:%|percent) of (?P<of>[^,;:.]{1,60})", re.IGNORECASE)
_PERCENT: Final = re.compile(r" ?(?:%|percent)", re.IGNORECASE)
_WHOLE: Final = re.compile(
    rf"(?:(?:the|its|their|all|available|total|usable|this|his|that|\w+['\u2019]s"
    rf"|{_MASK}(?:['\u2019]s)?) )*(?:cpu|memory|disk|space|capacity|limit|quota|heap|storage"
    rf"|bandwidth|processor|it\b|ram|swap|{_MASK})",
    re.IGNORECASE,
)
_DURATION: Final = re.compile(
    rf"\b(?:for|within|during|lasted|lasting|over|every|took only) {_ABOUT}{{0,2}}"
    r"(?:the )?(?:last |past )?$",
    re.IGNORECASE,
)
_SECONDS: Final = re.compile(r"[ -]?(?:s|secs?|seconds?)\b(?! (?:before|prior|ahead|earlier))")
_INTO: Final = re.compile(r"[ -]?(?:s|secs?|seconds?) into\b", re.IGNORECASE)
_LINK: Final = r"is|was|at|of|value|level|range|its|up|in|on|for|usual|normal|baseline"
_IS_BASELINE: Final = re.compile(
    rf"\b(?:usual(?:ly)?|normal(?:ly)?|typical(?:ly)?|baseline|previously|formerly"
    rf"|compared (?:to|with)|relative to|from)"
    rf"(?: (?:{_LINK}|{_ABOUT_WORD}|{_MASK}(?:['\u2019]s)?)){{0,6}}[ :=(]{{1,3}}$",
    re.IGNORECASE,
)
_IS_OBSERVED: Final = re.compile(
    rf"\b(?:now|currently|observed|(?<!compared )(?<!relative )(?<!back )(?<!due )(?<!similar )"
    rf"(?<!close )(?<!recovered )(?<!returned )(?<!returns )to)"
    rf"(?: (?:is|was|stands|at|of|value|level|as|high|low|{_ABOUT_WORD}))*[ :=(]{{1,3}}$",
    re.IGNORECASE,
)
_IS_REACHED: Final = re.compile(
    rf"\b(?:reach(?:ed|es|ing)?|hits?|hitting|peaked at|peaks at|peaking at|exceed(?:ed|s|ing))"
    rf" {_ABOUT}{{0,2}}$",
    re.IGNORECASE,
)
_IS_BASELINE_BEHIND: Final = re.compile(
    r" ?(?:%|percent|[a-zA-Z\u00b0]{1,12})?,? \(?(?:its |the )?"
    r"(?:baseline|usually|normally|usual|normal)\b(?! spread)"
    r"(?![ :=]{1,2}(?:of |at )?-?\d)"
)
_UNDER: Final = re.compile(rf"\b(?:below|under|beneath) {_ABOUT}?$", re.IGNORECASE)
_UNUSED: Final = re.compile(r"\b(?:idle|free|unused|spare)\b", re.IGNORECASE)


def is_level(found: re.Match[str], *, ratio: bool, words: Collection[str]) -> bool:
    """Whether a number in a masked sentence is told as what a figure can be.

    Args:
        found: The number.
        ratio: Its figure is a multiple: "70 times its spread".
        words: Words of the evidence; without "idle" among them nothing is told of that.
    """
    text = found.string
    before = text[max(0, found.start() - _CHARS) : found.start()]
    after = text[found.end() : found.end() + _CHARS]
    if _BOUND.search(before) or _IS_BOUND.match(after) or _INTO.match(after):
        return False
    unused = _UNUSED.search(f"{before} {after[:20]}")
    if unused and unused[0].lower() not in words and _PERCENT.match(after):
        return False
    share = _SHARE.match(after)
    if share and not _WHOLE.match(share["of"]):
        return False
    if is_offset(found):
        return True
    if _DURATION.search(before) and _SECONDS.match(after):
        return False
    return ratio or not (_DIFFERENCE.search(before) or _IS_DIFFERENCE.match(after))


def are_in_their_roles(sentence: str, about: int, holders: Holders, *, cited: bool) -> bool:
    """Whether no baseline is told as what was observed, nor the other way round.

    `cited` is whether the sentence cites the evidence: what "reached" a number is known then.
    """
    return all(
        _has_role(found, role, about, holders)
        for found in NUMBER.finditer(sentence)
        if (role := _role(found, cited=cited))
    )


def _role(found: re.Match[str], *, cited: bool) -> str:
    text = found.string
    before = text[max(0, found.start() - _CHARS) : found.start()]
    if _IS_BASELINE.search(before) or _IS_BASELINE_BEHIND.match(text, found.end()):
        return BASELINE
    is_observed = _IS_OBSERVED.search(before) or (cited and _IS_REACHED.search(before))
    return OBSERVED if is_observed else ""


def _has_role(found: re.Match[str], role: str, about: int, holders: Holders) -> bool:
    number, other = written(found), BASELINE if role == OBSERVED else OBSERVED
    right = about & holders.by_role.get((role, number), 0)
    return bool(right) or not about & holders.by_role.get((other, number), 0)


def bounds_stand(sentence: str, about: int, holders: Holders) -> bool:
    """Whether what is told to be below a number is below a threshold."""
    return not any(
        about & holders.by_role.get((role, written(found)), 0)
        for found in NUMBER.finditer(sentence)
        if _UNDER.search(sentence[max(0, found.start() - _CHARS) : found.start()])
        for role in (BASELINE, OBSERVED)
    )
