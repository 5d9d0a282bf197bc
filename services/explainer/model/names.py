"""What things are called in texts, and how they are asked for. Names are foreign text."""

import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Final

from mesh.selector import written

NAME_CHARS_MAX: Final = 120

ENTITY_LEVELS: Final[tuple[tuple[str, ...], ...]] = (
    ("service", "service_name", "app", "job", "pod", "instance", "host", "node"),
    ("pod", "container", "process", "groupname", "instance", "host", "node", "device"),
)
"""Labels that name who is to blame, coarse first; within a level the first that is there."""

SERVICE_LABELS: Final = ("service", "service_name", "app")

_APART: Final = (
    "pod", "container", "deployment", "statefulset", "daemonset", "host", "node", "instance",
)  # fmt: skip
"""Labels that tell the series of one job apart; an instance may be the exporter's own address."""

_EXPORTER: Final = re.compile(
    r"exporter|kube-state-metrics|kubelet|cadvisor|\Anode\Z", re.IGNORECASE
)
"""Names of what only tells about others, so that its name says nothing of who is to blame."""

_NAMING_LABELS: Final = (*SERVICE_LABELS, "job")

PLACE_LABELS: Final = (
    "pod", "container", "instance", "host", "node", "service", "service_name", "app", "job",
    "namespace",
)  # fmt: skip
"""Labels by which an alert and a series, or two series, belong together; narrow first."""

_NAMING: Final = (*SERVICE_LABELS, *_APART, "job")
_METRIC_CHARS_MAX: Final = 70
_OTHER_CHARS_MAX: Final = 40
_LEAST_CHARS: Final = 8

_UNITS: Final = (
    ("_seconds", "s"),
    ("_bytes", "By"),
    ("_celsius", "Cel"),
    ("_percent", "%"),
    ("_ratio", "1"),
)

_PLAIN_ALREADY: Final = re.compile(r"[\w{}=\"',/;()+-]+(?: [\w{}=\"',/;()+-]+)*", re.ASCII)
_LOOK_ALIKES: Final = {ord("<"): "\u2039", ord(">"): "\u203a", ord("`"): "'", ord("*"): "\u2217"}
_ACTING: Final = re.compile(
    r"(?P<address>:)//"
    r"|(?<=javascript)(?P<script>:)|(?<=vbscript)(?P<basic>:)|(?<=data)(?P<data>:)(?=[\w/;,])"
    r"|(?<=mailto)(?P<mail>:)|(?<=xmpp)(?P<chat>:)|(?<=tel)(?P<call>:)(?=[\d+])"
    r"|(?P<mention>[@\uff20])(?=\w)|(?P<entity>&)(?=[\w#])|(?<!\S)(?P<heading>#)",
    re.IGNORECASE,
)
_DOTTED: Final = re.compile(
    r"(?<![\w-])(?:[\w-]+(?:[.\u3002\uff0e\uff61][\w-]+)+(?=(?::\d*)?[/?])"
    r"|(?<=//)[\w-]+(?:[.\u3002\uff0e\uff61][\w-]+)+"
    r"|www(?:[.\u3002\uff0e\uff61][\w-]+)+)",
    re.IGNORECASE,
)
_DOT: Final = re.compile(r"[.\u3002\uff0e\uff61]")
_DOMAIN: Final = re.compile(r"[^\W\d_]{2,}(?![^\W_])|xn--", re.IGNORECASE)
_NOT_PUBLIC: Final = frozenset({"local", "localhost", "localdomain", "internal", "svc", "lan"})
_LINK: Final = re.compile(r"\](?=[(\[:])")
_NUMBER_LIKE = re.compile(r"[-+]?\d+([.,]\d+)?\s*(?!xx\Z)[a-zA-Z%°]{0,4}", re.IGNORECASE)
_KEPT_MAX: Final = 8192
_KEPT_CHARS_MAX: Final = 512
"""Texts that are remembered as they were made plain, and how long these may be."""


def harmless(text: str) -> str:
    """Text in which no console, browser or chat finds a tag, an address, a mention or a link.

    What would act stands in brackets or as a sign that looks alike; all other text is the same,
    so hosts keep their names unless a path makes an address of them. It never looks past a blank,
    so that a text may be given word by word; twice is like once.

    >>> print(harmless("@here see [this](//evil.test/x) &lt;b&gt; at www.evil.test:80"))
    [@]here see [this] (//evil[.]test/x) [&]lt;b[&]gt; at www[.]evil[.]test:80
    >>> print(harmless("web-1 waits for db1.example.com:9100, 20.5 % of 10.0.0.1:9100 [E1]."))
    web-1 waits for db1.example.com:9100, 20.5 % of 10.0.0.1:9100 [E1].
    """
    shown = "".join(each if each.isprintable() or each == "\n" else " " for each in text)
    shown = _ACTING.sub(_bracketed, shown.translate(_LOOK_ALIKES))
    shown = _DOTTED.sub(_undotted, shown)
    return _LINK.sub("] ", shown)


def plain(text: str, chars_max: int = NAME_CHARS_MAX) -> str:
    """Foreign text fit for a sentence: one line, no markup, no address that anything would link.

    >>> print(plain("a `b` http://evil.test/x"))
    a 'b' http[:]//evil[.]test/x
    """
    if len(text) <= chars_max and _PLAIN_ALREADY.fullmatch(text):
        return text
    return _plain(text, chars_max) if len(text) <= _KEPT_CHARS_MAX else _made_plain(text, chars_max)


def _made_plain(text: str, chars_max: int) -> str:
    shown = harmless(" ".join(harmless(text).split()))
    if len(shown) <= chars_max:
        return shown
    size = chars_max - 1
    while harmless(cut := f"{shown[:size].rstrip()}…") != cut:
        size -= 1
    return cut


_plain: Final = lru_cache(maxsize=_KEPT_MAX)(_made_plain)
"""The same names come in thousands of series, and with each of like alerts."""


def _bracketed(found: re.Match[str]) -> str:
    sign = found[found.lastgroup or 0]
    return found[0].replace(sign, f"[{sign}]", 1)


def _undotted(found: re.Match[str]) -> str:
    first, *_, last = _DOT.split(found[0])
    if first.lower() != "www" and (not _DOMAIN.match(last) or last.lower() in _NOT_PUBLIC):
        return found[0]
    return _DOT.sub(r"[\g<0>]", found[0])


def is_name(text: str) -> bool:
    """Whether a text can stand as a name: a bare number would pass for a figure.

    >>> is_name("web-1"), is_name("10.0.0.1:9100"), is_name("7"), is_name("98 %"), is_name("a")
    (True, True, False, False, False)
    >>> is_name("5xx"), is_name("load 1m")
    (True, True)
    """
    return len(text) > 1 and not _NUMBER_LIKE.fullmatch(text)


def unit_of_name(metric: str) -> str:
    """The base unit that a metric's name tells, as in Prometheus; "" when it tells none.

    >>> unit_of_name("http_request_duration_seconds"), unit_of_name("cpu")
    ('s', '')
    """
    bare = metric.removesuffix("_total")
    return next((unit for ending, unit in _UNITS if bare.endswith(ending)), "")


def series_name(labels: Mapping[str, str]) -> str:
    """The metric with its labels, in the form of a selector, fit for a sentence.

    Where that is too long, the labels that name whom it belongs to stay, and values are cut.

    >>> series_name({"__name__": "cpu", "host": "a"})
    'cpu{host="a"}'
    >>> print(series_name({"__name__": "cpu", "a": "x" * 99, "b": "y" * 99, "host": "h1"}))
    cpu{a="xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…",b="yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy…",host="h1"}
    """
    whole = _selector(labels.get("__name__", ""), labels, len(labels))
    if len(whole) <= NAME_CHARS_MAX:
        return whole
    metric = plain(labels.get("__name__", ""), _METRIC_CHARS_MAX)
    names = sorted(labels.keys() - {"__name__"}, key=lambda name: (_place_of(name), name))
    kept: dict[str, str] = {}
    for name in names:
        room = NAME_CHARS_MAX - len(_selector(metric, {**kept, name: ""}, len(names)))
        if room < _LEAST_CHARS:
            continue
        chars_max = room if name in _NAMING else min(room, _OTHER_CHARS_MAX)
        more = {**kept, name: plain(labels[name], chars_max)}
        if len(_selector(metric, more, len(names))) <= NAME_CHARS_MAX:
            kept = more
    return _selector(metric, kept, len(names))


def _selector(metric: str, kept: Mapping[str, str], labels: int) -> str:
    """The series of these labels; tells with "…" that it has more than them."""
    text = written(metric, kept)
    if len(kept) < labels:
        inner = text.removesuffix("}")
        text = f"{inner},…}}" if text != inner and inner != "{" else f"{inner.strip('{')}{{…}}"
    return plain(text, 4 * len(text) + 1)


def _place_of(label: str) -> int:
    return _NAMING.index(label) if label in _NAMING else len(_NAMING)


def entity_of(labels: Mapping[str, str], level: Sequence[str] = ENTITY_LEVELS[0]) -> str:
    """Who a series belongs to, by the first label of the level; its own name without one.

    >>> entity_of({"job": "api", "host": "a1"}), entity_of({"host": "7"})
    ('api', 'host="7"')
    """
    for name in level:
        if name in labels and (shown := plain(labels[name])):
            return shown if is_name(shown) else f'{name}="{shown}"'
    return series_name(labels)


def entities(series: Sequence[Mapping[str, str]], services: Collection[str] = ()) -> list[str]:
    """An entity per label set, no finer than it takes to tell two of them apart.

    Where other services are known to be there, series of one of them are apart from those already.
    A job is one only where no narrower label tells its series apart, and an exporter never is: the
    machine or the pod is broken, not what tells of it.

    Args:
        series: Their labels.
        services: Names that are known to be services, whatever label they come with.

    >>> entities([{"__name__": "cpu", "host": "h1"}, {"__name__": "cpu", "host": "h2"}])
    ['h1', 'h2']
    >>> entities([{"job": "vm", "host": "h1"}, {"job": "vm", "host": "h2"}, {"job": "web"}])
    ['h1', 'h2', 'web']
    >>> entities([{"__name__": "cpu", "host": "a"}, {"__name__": "mem", "host": "a"}])
    ['cpu{host="a"}', 'mem{host="a"}']
    """
    services_named = {each[name] for each in series for name in SERVICE_LABELS if name in each}
    known = {*services, *(plain(each) for each in services_named if not _EXPORTER.search(each))}
    apart = _apart_by_job(series)
    named = [_entity(labels, apart.get(labels.get("job", ""), set()), known) for labels in series]
    is_one_of_several = {*named} < {*services}
    if len(series) < 2 or len({*named}) > 1 or is_one_of_several:
        return named
    finer = [entity_of(labels, ENTITY_LEVELS[1]) for labels in series]
    return finer if len(set(finer)) > 1 else [series_name(labels) for labels in series]


def _apart_by_job(series: Sequence[Mapping[str, str]]) -> dict[str, set[str]]:
    """The labels of which the series of a job have more than one value."""
    values: dict[tuple[str, str], set[str]] = {}
    for labels in series:
        for name in _APART:
            if job := labels.get(name) and labels.get("job"):
                values.setdefault((job, name), set()).add(labels[name])
    apart: dict[str, set[str]] = {}
    for (job, name), seen in values.items():
        if len(seen) > 1:
            apart.setdefault(job, set()).add(name)
    return apart


def _entity(labels: Mapping[str, str], apart: Collection[str], services: Collection[str]) -> str:
    """Who a series belongs to, where the labels `apart` tell the series of its job apart."""
    level = [each for each in ("job", "container") if plain(labels.get(each, "")) in services]
    exporters = {labels[name] for name in _NAMING_LABELS if _EXPORTER.search(labels.get(name, ""))}
    if "job" not in labels or not exporters - {*services}:
        narrow = [each for each in _APART if each in apart]
        return entity_of(labels, (*SERVICE_LABELS, *level, *narrow, *ENTITY_LEVELS[0]))
    for name in (*level, *SERVICE_LABELS, *_APART):
        if name in labels and not _EXPORTER.search(labels[name]):
            return entity_of({name: labels[name]}, (name,))
    return series_name(labels)


def naming_labels(labels: Mapping[str, str], entity: str) -> dict[str, str]:
    """The label that gives an entity its name; all of them when it is a series."""
    for name in dict.fromkeys(name for level in ENTITY_LEVELS for name in level):
        if name in labels and entity_of({name: labels[name]}, (name,)) == entity:
            return {name: labels[name]}
    return dict(labels)
