"""A subject as a vector: words and labels hashed into places. No model, no randomness. Pure."""

import hashlib
import math
from collections.abc import Iterable, Iterator
from typing import Final

from services.explainer.model.names import plain
from services.explainer.model.subjects import SubjectFacts
from services.explainer.rankers.measures import measure_of, words_of

SIZE: Final = 256

_NAMING: Final = ("alertname", "service", "service_name", "app", "job", "namespace", "cluster")
_WORD_WEIGHT: Final = 1.0
_LABEL_WEIGHT: Final = 1.5
_MEASURE_WEIGHT: Final = 0.5

Feature = tuple[str, float]


def embedding_of(facts: SubjectFacts) -> list[float]:
    """A vector of length 1; subjects that share name, metric and service lie close together.

    Names of single machines count for nothing: the same incident on another pod is alike.
    """
    vector = [0.0] * SIZE
    for feature, weight in features_of(facts):
        digest = hashlib.blake2b(feature.encode(), digest_size=8).digest()
        place, sign = int.from_bytes(digest[:4]) % SIZE, 1.0 if digest[4] & 1 else -1.0
        vector[place] += sign * weight
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]


def features_of(facts: SubjectFacts) -> Iterator[Feature]:
    """What is told of a subject that would be told of a like one too."""
    metrics = [facts.metric] if facts.metric else list(facts.metric_hints[:3])
    yield f"kind={facts.ref.kind.value}", _MEASURE_WEIGHT
    for word in _words([facts.labels.get("alertname", ""), *metrics]):
        yield f"word={word}", _WORD_WEIGHT
    for metric in metrics:
        yield f"metric={metric}", _LABEL_WEIGHT
        yield f"measure={measure_of(metric)}", _MEASURE_WEIGHT
    for name in _NAMING:
        if value := facts.labels.get(name):
            yield f"{name}={plain(value)}", _LABEL_WEIGHT


def _words(texts: Iterable[str]) -> list[str]:
    return sorted({word for text in texts for word in words_of(text)})
