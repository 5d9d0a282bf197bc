"""Checks a text against the evidence; sentences that the evidence does not hold are struck.

A sentence falls when it has a number that no figure has, or one with another unit, sign or
multiplier (`units`, `numbers`); a number or a time in words; the id of no evidence; the name of
something that is not in the evidence (`known`, `words`); or anything that a console, a browser or
a chat would act on. Of a model's text more is asked: each sentence of the cause and the summary
must stand on something, its figures must belong to what it is about (`attribution`), and the cause
must name the first suspect and nobody else (`blame`). Cost: what the text and the evidence cost,
not their product.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Self

from services.explainer.checks.attribution import EVIDENCE_ID, belongs
from services.explainer.checks.blame import Blame
from services.explainer.checks.holders import Holders, holders_of
from services.explainer.checks.known import Masked, raw
from services.explainer.checks.levels import is_level
from services.explainer.checks.lexicon import Lexicon, lexicon_of
from services.explainer.checks.numbers import (
    NUMBER,
    is_denied,
    is_difference,
    signed,
    stands_free,
    written,
)
from services.explainer.checks.orders import is_dangerous
from services.explainer.checks.units import RATIOS, end_of_unit, may_follow
from services.explainer.checks.words import are_plain
from services.explainer.model.explanation import Text
from services.explainer.model.names import harmless
from services.explainer.wording.facts import Facts

LENGTH_MAX: Final = {"root_cause": 500, "mitigation": 800, "summary": 2000}

_SENTENCE: Final = re.compile(r"(?<=[.!?])(?<!\bi\.e\.)(?<!\be\.g\.) ")
_CITED: Final = re.compile(r" ?(?:\[E\d+(?:(?:, ?| and | ?& ?|; ?)E\d+)*\]|\(E\d+(?:, ?E\d+)*\))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What is left of a text, and the sentences that were struck."""

    text: Text
    struck: tuple[str, ...]
    sentences: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What sentences are held against; made once, for it costs what all evidence costs."""

    lexicon: Lexicon
    holders: Holders
    blame: Blame

    @classmethod
    def of(cls, facts: Facts) -> Self:
        """Of everything that was found."""
        lexicon = lexicon_of(facts)
        return cls(
            lexicon=lexicon,
            holders=holders_of(facts.subject, lexicon),
            blame=Blame.of(facts, lexicon.pieces),
        )


def check(text: Text, facts: Facts | Held, *, grounded: bool) -> Checked:
    """The text without what the evidence does not hold.

    Args:
        text: Any text; it is trusted in nothing.
        facts: What it may be made of.
        grounded: Also ask that sentences stand on evidence; for text of a model.
    """
    held = facts if isinstance(facts, Held) else Held.of(facts)
    against = _Known(held=held, grounded=grounded)
    struck: list[str] = []
    kept: dict[str, str] = {}
    total = 0
    for name in ("root_cause", "mitigation", "summary"):
        masked = held.lexicon.mask(raw(getattr(text, name)))
        sentences = [each for each in _SENTENCE.split(masked.text) if each.strip()]
        good: list[str] = []
        for each in sentences:
            stands = against.holds(each, masked.names_in(each), part=name)
            if stands and grounded:
                said, is_advice = masked.restore(each), name == "mitigation"
                stands = not is_dangerous(said, is_advice=is_advice)
            (good if stands else struck).append(each if stands else masked.restore(each))
        total += len(sentences)
        shown = _shortened([harmless(masked.restore(each)) for each in good], LENGTH_MAX[name])
        kept[name] = " ".join(shown)
        is_cause = name == "root_cause" and grounded and shown
        if is_cause and not against.names_first(good[: len(shown)], masked):
            struck.append(kept[name])
            kept[name] = ""
    return Checked(text=Text(**kept), struck=tuple(struck), sentences=total)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """How sentences are held against evidence."""

    held: Held
    grounded: bool

    def holds(self, sentence: str, names: Sequence[str], *, part: str) -> bool:
        """Whether a masked sentence stands."""
        ids = EVIDENCE_ID.findall(sentence)
        bare = signed(EVIDENCE_ID.sub(" ", _CITED.sub("", sentence)))
        if not all(each in self.held.lexicon.evidence_ids for each in ids):
            return False
        rest = _without_numbers(bare, self.held.lexicon, checks_level=self.grounded)
        if rest is None or not are_plain(rest, self.held.lexicon.words):
            return False
        if not self.grounded:
            return True
        is_advice = part == "mitigation"
        if not (is_advice or ids or names or NUMBER.search(bare)):
            return False
        if part == "root_cause" and self.held.blame.is_on_another(bare, names):
            return False
        return belongs(bare, ids, names, self.held.holders, is_advice=is_advice)

    def names_first(self, sentences: Sequence[str], masked: Masked) -> bool:
        """Whether one of the sentences of a cause says that it is the first suspect."""
        return any(self.held.blame.is_told(each, masked.names_in(each)) for each in sentences)


def _without_numbers(sentence: str, lexicon: Lexicon, *, checks_level: bool) -> str | None:
    """The sentence without its numbers and their units; None when one is not of the evidence."""
    parts, done = [], 0
    for found in NUMBER.finditer(sentence):
        units = lexicon.units_by_number.get(written(found))
        if units is None or not stands_free(found) or is_denied(found):
            return None
        ratio = bool(units & RATIOS)
        if is_difference(found) and not ratio:
            return None
        if checks_level and not is_level(found, ratio=ratio, words=lexicon.words):
            return None
        end = end_of_unit(sentence, found.end(), units)
        told, counts = end > found.end(), "" in units
        if not may_follow(sentence, end, told=told, counts=counts, words=lexicon.words):
            return None
        parts.append(sentence[done : found.start()])
        done = end
    return " ".join([*parts, sentence[done:]])


def _shortened(sentences: Sequence[str], chars_max: int) -> Sequence[str]:
    """The first sentences that together are no longer than that."""
    ends = accumulate(len(each) + 1 for each in sentences)
    return [each for each, end in zip(sentences, ends, strict=True) if end - 1 <= chars_max]
