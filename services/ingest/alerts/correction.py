"""What senders get wrong in form costs no alert: labels, texts and times are mended, never refused.

Each function gives back what is stored and notes on a `AlertCorrector` what it changed.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from services.ingest.model.alerts import AlertState, AlertWarning, Correction
from services.ingest.model.labels import MAX_LABELS, MAX_NAME_CHARS, MAX_VALUE_BYTES, Labels

MAX_TEXT_BYTES: Final = 16 * 1024
MAX_URL_BYTES: Final = 2048
MAX_WARNINGS: Final = 1000

_EARLIEST_SET_MS: Final = 946_684_800_000
"""2000-01-01. What lies before it is a zero, or a clock that was never set."""
_OLDEST_MS: Final = 366 * 86_400_000
_EPISODE_MAX_MS: Final = 10**15 - 1
_KEPT_LABELS: Final = ("alertname", "severity", "priority", "level", "instance", "job", "service")
_KEPT_TEXTS: Final = ("summary", "description", "message", "runbook_url")
_CUT_MARK: Final = " … (cut)"
_NUL, _NO_CHARACTER = "\0", "\ufffd"


class AlertCorrector:
    """Mends the alerts of one request; `warnings` says what was changed, in order."""

    def __init__(self, now_ms: int, future_ms: int) -> None:
        """Times up to `future_ms` ahead of `now_ms` are taken as they are."""
        self.now_ms = now_ms
        self.warnings: list[AlertWarning] = []
        self._latest_ms = now_ms + future_ms
        self._index = 0

    def turn_to(self, index: int) -> None:
        """What is noted from now on is about the alert at this index."""
        self._index = index

    def note(self, mended: Correction, message: str) -> None:
        """Notes one change."""
        self.warnings.append(AlertWarning(self._index, mended, message))

    def label_set(self, pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
        """The labels that there are: no empty ones, of each name the last, without NUL."""
        return {_clean(name): _clean(value) for name, value in pairs if name and value}

    def stored_labels(self, labels: Mapping[str, str]) -> Labels:
        """As much of a label set as is stored, sorted by name."""
        kept: dict[str, str] = {}
        dropped: list[str] = []
        for name, value in _first(labels, _KEPT_LABELS, sort=True):
            shown = name[:MAX_NAME_CHARS]
            if len(kept) == MAX_LABELS or shown in kept:
                dropped.append(shown)
                continue
            kept[shown] = _cut(value, MAX_VALUE_BYTES)
            if (shown, kept[shown]) != (name, value):
                limits = f"{MAX_NAME_CHARS} characters of name, {MAX_VALUE_BYTES} bytes of value"
                self.note(Correction.LABEL_CUT, f"label {shown!r}: is cut to {limits}")
        self._note_dropped(Correction.LABEL_DROPPED, "label", dropped)
        return tuple(sorted(kept.items()))

    def texts(self, pairs: Iterable[tuple[str, str]]) -> Labels:
        """The annotations, sorted by name. Empty ones are left out: templates yield them."""
        kept: dict[str, str] = {}
        dropped: list[str] = []
        for name, text in _first(self.label_set(pairs), _KEPT_TEXTS):
            shown = name[:MAX_NAME_CHARS]
            if len(kept) == MAX_LABELS or shown in kept:
                dropped.append(shown)
                continue
            kept[shown] = _cut(text, MAX_TEXT_BYTES, _CUT_MARK)
            if (shown, kept[shown]) != (name, text):
                limits = f"{MAX_NAME_CHARS} characters of name, {MAX_TEXT_BYTES} bytes of text"
                self.note(Correction.ANNOTATION_CUT, f"annotation {shown!r}: is cut to {limits}")
        self._note_dropped(Correction.ANNOTATION_DROPPED, "annotation", dropped)
        return tuple(sorted(kept.items()))

    def _note_dropped(self, mended: Correction, kind: str, names: list[str]) -> None:
        """One note for all of them: an alert with 50,000 labels must not get as many."""
        if not names:
            return
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        rule = f"left out, send at most {MAX_LABELS} with different names"
        self.note(mended, f"{kind} {names[0]!r}{others}: {rule}")

    def url(self, sent: str) -> str:
        """The link back; one that is too long is left out, because half a link leads nowhere."""
        if len(sent.encode()) <= MAX_URL_BYTES:
            return _clean(sent)
        self.note(Correction.URL_DROPPED, f"generator_url: is longer than {MAX_URL_BYTES} bytes")
        return ""

    def state(self, said: AlertState | None, end_ms: int | None) -> AlertState:
        """Prometheus says no state, but until when an alert holds unless it is said again."""
        is_over = is_set(end_ms) and end_ms is not None and end_ms <= self.now_ms
        return said or (AlertState.RESOLVED if is_over else AlertState.FIRING)

    def start(self, said_ms: int | None, state: AlertState) -> tuple[int | None, int]:
        """The start that names the episode, if there is one, and when the episode began."""
        if said_ms is None or not is_set(said_ms):
            if state is AlertState.FIRING:
                rule = "is not set, that of the open episode counts, or else the arrival"
                self.note(Correction.START_TIME_ASSUMED, f"start_time: {rule}")
            return None, self.now_ms
        episode_ms = min(said_ms, _EPISODE_MAX_MS)
        if said_ms > self._latest_ms:
            ahead = f"is {_length(said_ms - self.now_ms)} ahead, now counts: set the sender's clock"
            self.note(Correction.START_TIME_CLAMPED, f"start_time: {ahead}")
            return episode_ms, self.now_ms
        if said_ms < self.now_ms - _OLDEST_MS:
            back = (
                f"is {_length(self.now_ms - said_ms)} back, 366 days count: set the sender's clock"
            )
            self.note(Correction.START_TIME_CLAMPED, f"start_time: {back}")
            return episode_ms, self.now_ms - _OLDEST_MS
        return episode_ms, said_ms

    def end(self, said_ms: int | None, start_ms: int, *, is_start_said: bool) -> int | None:
        """When a resolved alert ended; None when the sender said none: then it is now."""
        if said_ms is None or not is_set(said_ms):
            return None
        if said_ms > self._latest_ms:
            ahead = f"is {_length(said_ms - self.now_ms)} ahead, now counts: set the sender's clock"
            self.note(Correction.END_TIME_CLAMPED, f"end_time: {ahead}")
            said_ms = self.now_ms
        if is_start_said and said_ms < start_ms:
            self.note(Correction.END_TIME_CLAMPED, "end_time: is before start_time, which counts")
            return start_ms
        return said_ms


def is_set(time_ms: int | None) -> bool:
    """Whether a time is more than a zero."""
    return time_ms is not None and time_ms >= _EARLIEST_SET_MS


def _first(
    pairs: Mapping[str, str], names: Iterable[str], *, sort: bool = False
) -> list[tuple[str, str]]:
    """Named ones first, so that they stay when there are too many."""
    head = [(name, pairs[name]) for name in names if name in pairs]
    rest = [pair for pair in pairs.items() if pair not in head]
    return head + (sorted(rest) if sort else rest)


def _cut(text: str, max_bytes: int, mark: str = "") -> str:
    raw = text.encode()
    if len(raw) <= max_bytes:
        return text
    return raw[: max_bytes - len(mark.encode())].decode(errors="ignore") + mark


def _clean(text: str) -> str:
    return text.replace(_NUL, _NO_CHARACTER)


def _length(length_ms: int) -> str:
    seconds = length_ms // 1000
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"
