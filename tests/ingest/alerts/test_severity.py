"""The words with which labels say how urgent an alert is."""

import pytest

from mesh.config import ConfigError
from services.ingest.alerts.severity import SeverityWords
from services.ingest.model.alerts import Severity

NAMES = ("severity", "priority", "level")
WORDS = SeverityWords(NAMES, ())


@pytest.mark.parametrize(
    ("severity", "texts"),
    [
        (
            Severity.CRITICAL,
            "critical CRITICAL|crit|Fatal|emergency|disaster|high|page|error|P1|p0|sev1|SEV-1|s1"
            "|Sev 1|priority 1|P1 - Critical|critical |\tcrit\n|1-High|severe|URGENT|prio1|P01",
        ),
        (
            Severity.WARNING,
            "warning|warn|major|average|minor|medium|moderate|P2|P3|sev2|S3|non-critical|Warning!",
        ),
        (
            Severity.INFO,
            "info|INFORMATIONAL|information|low|none|debug|notice|ok|P4|p5|sev4|Not classified",
        ),
    ],
)
def test_words_of_the_field_are_known(severity: Severity, texts: str) -> None:
    for text in texts.split("|"):
        assert WORDS.read({"severity": text}) == (severity, ""), text


@pytest.mark.parametrize("text", ["purple", "priority", "7", "é", "p9", "gold plated"])
def test_an_unknown_word_is_a_warning_and_said(text: str) -> None:
    assert WORDS.read({"severity": f" {text} "}) == (Severity.WARNING, text)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, (Severity.INFO, "")),
        ({"severity": "  "}, (Severity.INFO, "")),
        ({"priority": "P1"}, (Severity.CRITICAL, "")),
        ({"Severity": "crit"}, (Severity.CRITICAL, "")),
        ({"level": "warning", "priority": "P1"}, (Severity.CRITICAL, "")),
        ({"severity": "info", "priority": "P1"}, (Severity.INFO, "")),
        ({"severity": "purple", "priority": "P1"}, (Severity.CRITICAL, "")),
        ({"level": "12"}, (Severity.WARNING, "12")),
        ({"host": "critical"}, (Severity.INFO, "")),
    ],
)
def test_the_first_label_with_a_known_word_counts(
    labels: dict[str, str], expected: tuple[Severity, str]
) -> None:
    assert WORDS.read(labels) == expected


def test_words_and_labels_can_be_set() -> None:
    words = SeverityWords(("tier",), ("Gold Plated=critical", "page=info"))
    assert words.read({"tier": "gold-plated"}) == (Severity.CRITICAL, "")
    assert words.read({"tier": "page"}) == (Severity.INFO, "")
    assert words.read({"severity": "critical"}) == (Severity.INFO, "")


@pytest.mark.parametrize("setting", ["gold", "gold=urgent", "=critical", ""])
def test_a_setting_of_another_form_stops_the_start(setting: str) -> None:
    with pytest.raises(ConfigError, match="SENSUS_ALERT_SEVERITIES"):
        SeverityWords(NAMES, (setting,))
