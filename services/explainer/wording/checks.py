"""Checks a text against the evidence; sentences that the evidence does not hold are struck.

A sentence falls when it has a number that no figure has (or one with another unit), a number in
words, the id of no evidence, the name of something that is not in the evidence, or anything that
a console, a browser or a chat would act on. Of a model's text more is asked: each sentence of the
cause and the summary must stand on something, its figures must belong to what it is about
(`attribution`), and the cause must name the first suspect.
"""

import re
from dataclasses import dataclass
from typing import Final

from services.explainer.model.explanation import Text
from services.explainer.model.names import plain
from services.explainer.wording.attribution import EVIDENCE_ID, belongs, holders_of
from services.explainer.wording.facts import Facts
from services.explainer.wording.lexicon import Lexicon, lexicon_of
from services.explainer.wording.numbers import NUMBER, written

LENGTH_MAX: Final = {"root_cause": 500, "mitigation": 800, "summary": 2000}

_SPELLED: Final = """
zero two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundreds?
thousands? millions? billions? dozens? twice thrice doubled? tripled? quadrupled? half halved
third quarter minus fold
"""
_WELL_KNOWN: Final = """
redis valkey memcached kafka zookeeper rabbitmq nats pulsar postgres postgresql mysql mariadb oracle
mongodb cassandra elasticsearch opensearch clickhouse influxdb nginx apache haproxy envoy istio
traefik consul etcd vault docker containerd jenkins argocd cloudflare aws azure gcp ec2 s3 lambda
dynamodb snowflake tomcat java python golang nodejs php celery prometheus grafana jaeger ollama
"""
_ENGLISH: Final = """
a an the this that its it their each every any no same other another affected first failing slow
busy upstream downstream whole single one is was has had and or of on in at to from with by which
where when itself before after between rose fell shows named called also not may might can under
down up restart check utc cpu ram io api http https dns tls tcp sql ssd gc jvm oom kubernetes linux
i monday tuesday wednesday thursday friday saturday sunday
"""
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_NUMBER_WORDS = re.compile(rf"\b(?:{'|'.join(_SPELLED.split())})\b", re.IGNORECASE)
_UNSAFE = re.compile(r"://|\bwww\.|[<>`{}|\\$;^~]|\]\(|&&|\b(?:rm|sudo|curl|wget|chmod|eval)\b")
_WORD = re.compile(r"[A-Za-z]\w+")
_IDENTIFIER = re.compile(r"[A-Za-z][\w.:/@-]*\w")
_MADE_UP = re.compile(r"[_/:@]|\w\.\w|[A-Za-z]\d|\d[A-Za-z]|[a-z][A-Z]")
_KINDS: Final = "service|pod|host|node|container|deployment|database|instance|server"
_THING = re.compile(
    rf"\b(?P<before>[\w-]+) (?:{_KINDS})\b|\b(?:{_KINDS}) (?P<after>[\w-]+)", re.IGNORECASE
)
_CAPITAL = re.compile(r"(?<=[a-z,;)\]] )[A-Z][\w-]+")
_COMMON: Final = frozenset(_ENGLISH.split())
_PRODUCTS: Final = frozenset(_WELL_KNOWN.split())
"""Names that models like to bring in; struck unless the evidence has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What is left of a text, and the sentences that were struck."""

    text: Text
    struck: tuple[str, ...]
    sentences: int


def check(text: Text, facts: Facts, *, grounded: bool) -> Checked:
    """The text without what the evidence does not hold.

    Args:
        text: Any text; it is trusted in nothing.
        facts: What it may be made of.
        grounded: Also ask that sentences stand on evidence; for text of a model.
    """
    lexicon, holders = lexicon_of(facts), holders_of(facts)
    struck: list[str] = []
    kept: dict[str, str] = {}
    total = 0
    for name in ("root_cause", "mitigation", "summary"):
        masked = lexicon.mask(_clean(getattr(text, name)))
        sentences = [each for each in _SENTENCE.split(masked.text) if each.strip()]
        is_advice = name == "mitigation"
        good = [
            each
            for each in sentences
            if _holds(each, lexicon, must_stand=grounded and not is_advice)
            and (not grounded or belongs(each, masked.names_in(each), holders, is_advice=is_advice))
        ]
        struck += [masked.restore(each) for each in sentences if each not in good]
        total += len(sentences)
        kept[name] = _shortened([masked.restore(each) for each in good], LENGTH_MAX[name])
    if grounded and kept["root_cause"] and not _names_first(kept["root_cause"], facts):
        struck.append(kept["root_cause"])
        kept["root_cause"] = ""
    return Checked(text=Text(**kept), struck=tuple(struck), sentences=total)


def _holds(sentence: str, lexicon: Lexicon, *, must_stand: bool) -> bool:
    ids = EVIDENCE_ID.findall(sentence)
    rest = EVIDENCE_ID.sub(" ", sentence)
    numbers = list(NUMBER.finditer(rest))
    if must_stand and not (ids or numbers or lexicon.has_name(sentence)):
        return False
    return (
        all(each in lexicon.evidence_ids for each in ids)
        and all(_number_holds(each, lexicon) for each in numbers)
        and _wordless(NUMBER.sub(" ", rest), lexicon)
    )


def _number_holds(found: re.Match[str], lexicon: Lexicon) -> bool:
    unit = found["unit"] or ""
    units = lexicon.units_by_number.get(written(found))
    if units is None:
        return False
    if found["gap"] and unit.lower() not in lexicon.unit_words:
        return True
    return not unit or unit.lower() in units


def _wordless(rest: str, lexicon: Lexicon) -> bool:
    """Whether what is left has no number, no foreign name and nothing that acts."""
    if any(each.isnumeric() for each in rest) or _NUMBER_WORDS.search(rest) or _UNSAFE.search(rest):
        return False
    if any(_MADE_UP.search(each) for each in _IDENTIFIER.findall(rest)):
        return False
    things = [each for found in _THING.finditer(rest) for each in found.groups() if each]
    products = [each for each in _WORD.findall(rest) if each.lower() in _PRODUCTS]
    words = [*things, *_CAPITAL.findall(rest), *products]
    return all(each.lower() in _COMMON or each.lower() in lexicon.words for each in words)


def _names_first(cause: str, facts: Facts) -> bool:
    first = plain(facts.suspects[0].suspect.entity) if facts.suspects else ""
    return bool(first) and first.lower() in cause.lower()


def _clean(text: str) -> str:
    """Control and private characters become blanks; lines stay apart."""
    return "".join(each if each == "\n" or each.isprintable() else " " for each in text)


def _shortened(sentences: list[str], chars_max: int) -> str:
    kept: list[str] = []
    for sentence in sentences:
        if sum(len(each) + 1 for each in kept) + len(sentence) > chars_max:
            break
        kept.append(sentence)
    return " ".join(kept)
