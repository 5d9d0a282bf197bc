"""The run as one page of HTML: figures, and plots that need nothing from elsewhere."""

import html
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from bench.load.senders import Answer

_WIDTH, _HEIGHT = 720, 140
_STYLE: Final = (
    "body{font:15px system-ui;max-width:60em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse}td,th{padding:.3em .8em;text-align:right}"
    "th:first-child,td:first-child{text-align:left}tr{border-bottom:1px solid #ddd}"
    "svg{width:100%;height:auto}polyline{fill:none;stroke:#2563eb;stroke-width:1.5}"
)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of them do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def rows(answers: Sequence[Answer], seconds: float) -> list[list[str]]:
    """A row for each kind of request."""
    return [_row(kind, [each for each in answers if each.kind == kind], seconds)
            for kind in sorted({each.kind for each in answers})]  # fmt: skip


HEADER: Final = (
    *("kind", "requests", "a second", "acknowledged a second"),
    *("p50 ms", "p95 ms", "p99 ms", "success"),
)


def page(
    title: str,
    answers: Sequence[Answer],
    seconds: float,
    memory_mb: Mapping[str, Sequence[tuple[float, float]]],
    verdict: str,
) -> str:
    """The whole page."""
    table = _table([HEADER, *rows(answers, seconds)])
    errors = Counter(f"{each.kind} {each.error}" for each in answers if each.error)
    failed = "".join(f"<li>{html.escape(what)}: {count}</li>" for what, count in errors.items())
    plots = [
        _plot("Acknowledged a second", _per_second(answers, seconds)),
        _plot("p95 of all requests, ms", _p95(answers, seconds)),
        *(_plot(f"Memory of {name}, MB", points) for name, points in memory_mb.items()),
    ]
    return (
        f"<!doctype html><meta charset=utf-8><title>{html.escape(title)}</title>"
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1>{table}"
        f"<p><strong>{html.escape(verdict)}</strong></p><ul>{failed}</ul>{''.join(plots)}"
    )


def _row(kind: str, answers: Sequence[Answer], seconds: float) -> list[str]:
    took_ms = [each.took_s * 1000 for each in answers if not each.error]
    return [
        kind,
        str(len(answers)),
        f"{len(answers) / seconds:.1f}",
        f"{sum(each.acknowledged for each in answers) / seconds:.0f}",
        *(f"{quantile(took_ms, share):.1f}" for share in (0.5, 0.95, 0.99)),
        f"{len(took_ms) / len(answers):.2%}",
    ]


def _table(lines: Sequence[Sequence[str]]) -> str:
    head, *body = lines
    cells = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    return f"<table><tr>{cells}</tr>{''.join(map(_line, body))}</table>"


def _line(cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"


def _per_second(answers: Sequence[Answer], seconds: float) -> list[tuple[float, float]]:
    counts = Counter[int]()
    for each in answers:
        counts[int(each.sent_s + each.took_s)] += each.acknowledged
    return [(second, counts[second]) for second in range(int(seconds))]


def _p95(answers: Sequence[Answer], seconds: float) -> list[tuple[float, float]]:
    by_second: dict[int, list[float]] = {}
    for each in answers:
        by_second.setdefault(int(each.sent_s), []).append(each.took_s * 1000)
    return [(second, quantile(by_second.get(second, []), 0.95)) for second in range(int(seconds))]


def _plot(title: str, points: Sequence[tuple[float, float]]) -> str:
    if not points:
        return ""
    last, most = max(x for x, _ in points) or 1, max(y for _, y in points) or 1
    line = " ".join(
        f"{_WIDTH * x / last:.1f},{_HEIGHT - _HEIGHT * y / most:.1f}" for x, y in points
    )
    return (
        f"<h2>{html.escape(title)}, at most {most:.0f}</h2>"
        f'<svg viewBox="0 -5 {_WIDTH} {_HEIGHT + 10}" role="img">'
        f'<polyline points="{line}"/></svg>'
    )
