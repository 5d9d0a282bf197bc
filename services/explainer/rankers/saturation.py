"""Blames the service in which something ran full.

Uses resources that have an end: disks, memory, pools, quotas, file handles, queues, certificates;
as what is free or what is used, beside a series of their size, or in percent. What is used up stops
what needs it, so it counts fully, however small its move was: an exhausted resource was usually
far from it. Cost: one pass over the series. Blind to limits that nobody measures.

>>> from services.explainer.model.case import Case, Subject
>>> Saturation().rank(Case(subject=Subject(id="a1"))).suspects
()
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from services.explainer.model.case import Case
from services.explainer.model.ranking import Ranking, Reason
from services.explainer.model.windows import SeriesWindow, Values
from services.explainer.rankers.measures import parts_of, words_of
from services.explainer.rankers.ranking import ranking

FULL: Final = 0.97
"""Share in use from which on a resource counts as used up."""

NEARLY: Final = 0.90
"""A resource that was used up stays so until less than this share is in use."""

USUALLY: Final = 0.90
"""A resource that was usually fuller than this is run that full on purpose."""

STRENGTH: Final = float(np.log1p(100.0))
"""As sure as the farthest move."""


class Resource(StrEnum):
    """What can run full."""

    DISK = "disk"
    MEMORY = "memory"
    POOL = "pool"
    HANDLES = "handles"
    QUEUE = "queue"
    QUOTA = "quota"
    CERTIFICATE = "certificate"


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_RESOURCES: Final = (
    (Resource.CERTIFICATE, _words("cert certificate ssl tls x509")),
    (Resource.DISK, _words("disk filesystem inodes inode volume storage pvc fs")),
    (Resource.HANDLES, _words("fds fd handles descriptors")),
    (Resource.POOL, _words("pool connections connection conns threads workers slots")),
    (Resource.QUEUE, _words("queue backlog buffer")),
    (Resource.QUOTA, _words("quota limit tokens credits")),
    (Resource.MEMORY, _words("memory mem heap swap")),
)
_FREE: Final = _words("avail available free remaining left idle unused headroom")
_USED: Final = _words("used usage active busy open inuse use length depth size pending working rss")
_SIZES: Final = ("size", "max", "limit", "capacity", "total", "maximum", "hard")
_PERCENT: Final = _words("percent percentage pct utilization utilisation")
_SHARE: Final = _words("ratio fraction share utilization utilisation")
_AVAILABLE: Final = _words("avail available")
_UNUSED: Final = _words("free unused")
"""Of memory this falls to nothing in health, as caches fill it: what is available tells more."""

_EXPIRY: Final = _words("expiry expiration expires after notafter")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Use:
    """How full a resource is.

    Attributes:
        share: In use at each sample of the window, 0..1; above 1 for what is overdue.
        limit: Size of the resource in the unit of the series; None when it is not known.
    """

    window: SeriesWindow
    resource: Resource
    share: Values
    limit: float | None

    @property
    def full_since_ms(self) -> int | None:
        """Time from which on it was used up until the last sample observed; None when it is not."""
        inside = self.window.timestamps_ms <= self.window.observed_end_ms
        known = inside & np.isfinite(self.share)
        times, share = self.window.timestamps_ms[known], self.share[known]
        spare = np.flatnonzero(share < NEARLY)
        begin = int(spare[-1]) + 1 if spare.size else 0
        full = np.flatnonzero(share[begin:] >= FULL)
        return int(times[begin + int(full[0])]) if begin and full.size else None

    @property
    def usually(self) -> float:
        """Share that was in use before; 1 when that is not known."""
        before = self.share[self.window.usual]
        before = before[np.isfinite(before)]
        return float(np.median(before)) if before.size else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Saturation:
    """Whatever is used up now and was not before."""

    name: str = "saturation"

    def rank(self, case: Case) -> Ranking:
        """See `Ranker.rank`."""
        full = exhausted(case.series)
        scores = {each.window.service: STRENGTH for each in full if each.window.service}
        reasons: dict[str, list[Reason]] = {}
        for each in full:
            text = f"{each.window.metric} ran full"
            reason = Reason(text=text, evidence_id=each.window.evidence_id, score=STRENGTH)
            reasons.setdefault(each.window.service, []).append(reason)
        return ranking(scores, reasons, ranker=self.name)


def exhausted(series: Sequence[SeriesWindow]) -> list[Use]:
    """Resources that were used up during the symptom and are usually not."""
    return [u for u in uses_of(series) if u.full_since_ms is not None and u.usually < USUALLY]


def uses_of(series: Sequence[SeriesWindow]) -> list[Use]:
    """How full each resource is that has an end which is known."""
    sizes = {_key(each): each for each in series if _is_size(each.metric) and not _counts(each)}
    available = {_place(each) for each in series if _tells_memory(each, _AVAILABLE)}
    return [
        use
        for each in series
        if not (_tells_memory(each, _UNUSED) and _place(each) in available)
        if (use := _use(each, sizes)) is not None
    ]


def _counts(window: SeriesWindow) -> bool:
    """Whether a series counts events: how many there were is the size of nothing."""
    return window.is_rate or window.events is not None


def _tells_memory(window: SeriesWindow, words: frozenset[str]) -> bool:
    return bool(words_of(window.metric) & words) and resource_of(window.metric) is Resource.MEMORY


def _place(window: SeriesWindow) -> object:
    named = sorted((n, v) for n, v in window.labels.items() if n != "__name__")
    return window.service, tuple(named)


def is_free(metric: str) -> bool:
    """Whether a metric tells what is left of a resource.

    >>> is_free("node_filesystem_avail_bytes"), is_free("disk_used_percent")
    (True, False)
    """
    return bool(words_of(metric) & _FREE)


def resource_of(metric: str) -> Resource | None:
    """What a metric tells the filling of, if it does.

    >>> resource_of("node_filesystem_avail_bytes"), resource_of("http_requests_total")
    (<Resource.DISK: 'disk'>, None)
    """
    words = words_of(metric)
    return next((resource for resource, named in _RESOURCES if words & named), None)


def _use(window: SeriesWindow, sizes: Mapping[object, SeriesWindow]) -> Use | None:
    words, resource = words_of(window.metric), resource_of(window.metric)
    if resource is None or _is_size(window.metric) or window.events is not None:
        return None
    if resource is Resource.CERTIFICATE:
        return _expiring(window) if words & _EXPIRY else None
    left = is_free(window.metric)
    if left and resource is Resource.QUEUE:  # what is available in a queue waits there
        return None
    if "%" in window.metric:
        words |= {"percent"}
    if words & (_PERCENT | _SHARE) and (whole := _whole(window, words)) is not None:
        share = window.values / whole
        used = 1.0 - share if left else share
        return Use(window=window, resource=resource, share=used, limit=whole)
    size = _size_of(window, sizes)
    if size is None and left:
        return _emptied(window, resource)
    if size is None or not (left or words & _USED):
        return None
    share = window.values / size
    used = 1.0 - share if left else share
    return Use(window=window, resource=resource, share=used, limit=size)


def _whole(window: SeriesWindow, words: frozenset[str]) -> float | None:
    """100 or 1, by the name and the values; None where neither can be."""
    finite = window.values[np.isfinite(window.values)]
    if not finite.size or float(finite.min()) < 0:
        return None
    highest = float(finite.max())
    if words & _SHARE and highest <= 1.0:
        return 1.0
    return 100.0 if words & (_PERCENT - _SHARE) and 1.0 < highest <= 100.0 else None


def _emptied(window: SeriesWindow, resource: Resource) -> Use | None:
    """What is free of something whose size nobody tells, beside the most that was free before."""
    before = window.values[window.usual]
    before = before[np.isfinite(before)]
    if not before.size or before.min() < 0 or before.max() <= 0:
        return None
    share = 1.0 - window.values / float(np.median(before))
    return Use(window=window, resource=resource, share=share, limit=None)


def _expiring(window: SeriesWindow) -> Use | None:
    """A certificate is used up when its time has come; before it is full in its last hours."""
    finite = window.values[np.isfinite(window.values)]
    if not finite.size:
        return None
    is_time = float(np.median(finite)) > 1e9
    left_s = window.values - window.timestamps_ms / 1000 if is_time else window.values
    share = np.where(np.isfinite(left_s), np.where(left_s <= 0, 1.0, 0.0), np.nan)
    return Use(window=window, resource=Resource.CERTIFICATE, share=share, limit=None)


def _is_size(metric: str) -> bool:
    words = words_of(metric)
    return bool(words & {*_SIZES}) and not words & _FREE


def _size_of(window: SeriesWindow, sizes: Mapping[object, SeriesWindow]) -> float | None:
    found = sizes.get(_key(window))
    if found is None:
        return None
    finite = found.values[np.isfinite(found.values)]
    size = float(np.median(finite)) if finite.size else 0.0
    return size if size > 0 else None


def _key(window: SeriesWindow) -> object:
    """Labels, and the name without the words that tell which side of a resource it measures."""
    sides = {*_SIZES, *_FREE, *_USED}
    return tuple(part for part in parts_of(window.metric) if part not in sides), _place(window)
