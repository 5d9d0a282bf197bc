"""How urgent an alert is, read from the words that its labels use."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from mesh.config import ConfigError
from services.ingest.model.alerts import Severity

_NOT_SAID: Final = Severity.INFO
_UNKNOWN: Final = Severity.WARNING

_WORDS: Final = {
    Severity.CRITICAL: (
        "critical crit fatal emergency emerg disaster panic alert page pager error err severe high "
        "highest urgent blocker down p0 p1 sev0 sev1 s0 s1"
    ),
    Severity.WARNING: (
        "warning warn major average minor medium moderate normal degraded ticket noncritical "
        "p2 p3 sev2 sev3 s2 s3"
    ),
    Severity.INFO: (
        "info information informational informative notice low lowest none debug trace trivial ok "
        "notclassified unclassified p4 p5 sev4 sev5 s4 s5"
    ),
}
_SEVERITY_BY_WORD: Final = {
    word: severity for severity, words in _WORDS.items() for word in words.split()
}
_LEVEL_WORD: Final = re.compile(r"(?:priority|prio|p|severity|sev|s)0*(\d{1,2})")
_PART: Final = re.compile(r"[^\W_]+")


class SeverityWords:
    """The severity of a label set. Case, blanks and marks around and in a word do not matter."""

    def __init__(self, label_names: Sequence[str], words: Iterable[str]) -> None:
        """Adds to the words of the field, or changes them.

        Args:
            label_names: The labels that say how urgent an alert is, the first that is there wins.
            words: Each `word=critical`, `word=warning` or `word=info`.

        Raises:
            ConfigError: A word has another form.
        """
        self._label_names = [name.lower() for name in label_names]
        self._severity_by_word = _SEVERITY_BY_WORD | dict(map(_mapped, words))

    def read(self, labels: Mapping[str, str]) -> tuple[Severity, str]:
        """The severity, and the words that are not known, empty when all is clear."""
        text_by_name = {name.lower(): text for name, text in labels.items()}
        unknown = ""
        for name in self._label_names:
            text = text_by_name.get(name, "").strip()
            if text and (found := self._known(text)):
                return found, ""
            unknown = unknown or text
        return (_UNKNOWN, unknown) if unknown else (_NOT_SAID, "")

    def _known(self, text: str) -> Severity | None:
        """Of the whole text, else the most urgent of its words: `P1 - Critical`."""
        parts = _PART.findall(text.casefold())
        whole = self._of_word("".join(parts))
        found = [each for part in parts if (each := self._of_word(part))]
        return whole or max(found, key=lambda severity: severity.value, default=None)

    def _of_word(self, word: str) -> Severity | None:
        level = _LEVEL_WORD.fullmatch(word)
        usual = f"p{int(level[1])}" if level else word
        return self._severity_by_word.get(word) or self._severity_by_word.get(usual)


def _mapped(setting: str) -> tuple[str, Severity]:
    word, _, name = setting.partition("=")
    found = "".join(_PART.findall(word.casefold()))
    try:
        severity = Severity[name.strip().upper()]
    except KeyError:
        severity = None
    if not found or severity is None:
        allowed = ", ".join(f"{found or 'word'}={each.name.lower()}" for each in Severity)
        raise ConfigError(f"SENSUS_ALERT_SEVERITIES: {setting!r} is not one of {allowed}")
    return found, severity
