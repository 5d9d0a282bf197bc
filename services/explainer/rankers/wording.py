"""Which words the text of a change shares with what went wrong.

Rare words tell, common ones do not: a shared word counts by how few of the changes of the case
use it.

>>> sorted(terms("func readThreeDSResult(resp) // dashboard_favorites"))
['dashboard', 'favorite', 'resp', 'result', 'three']
"""

import re
from collections import Counter
from collections.abc import Iterable
from math import log

_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SHORTEST = 3
_COMMON = frozenset(
    {"and", "the", "for", "not", "with", "from", "have", "been", "into", "this", "that"}
    | {"func", "return", "error", "test", "read", "write", "code"}
)


def terms(text: str) -> frozenset[str]:
    """Lower-case words of a text or of identifiers in it, plural endings dropped."""
    found = (part.lower() for part in _PART.findall(text))
    return frozenset(
        word.removesuffix("s") for word in found if len(word) > _SHORTEST and word not in _COMMON
    )


def shared_terms(text: str, symptoms: Iterable[str], others: Iterable[str]) -> float:
    """Weight of the words of `text` that also stand in `symptoms`; `others` say what is common."""
    texts = [terms(other) for other in others]
    used = Counter(word for words in texts for word in words)
    said = frozenset(word for symptom in symptoms for word in terms(symptom))
    return sum(log(len(texts) / used[word]) for word in sorted(terms(text) & said) if used[word])
