"""Anomalies, alerts and explanations as people read them."""

from rich.console import Console

from cli.render.formats import bar, number_text, series_text, time_text
from cli.render.text import escape
from sensus.core.v1 import alert_pb2, series_pb2
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.explainer.v1 import explainer_service_pb2 as explainer_pb

_STYLE_BY_SEVERITY = {1: "cyan", 2: "yellow", 3: "bold red"}
_FIGURES_SHOWN = 4
_SURE_SHOWN = 0.005
_SHORT = ("Cause:", "What happened:", "Do first:", "Other than before:")
"""Texts that are read at night."""


def show_anomaly(console: Console, anomaly: detector_pb.Anomaly) -> None:
    """One line: when, how bad, which series, and what is abnormal about it."""
    what = f"{series_text(anomaly.labels)}: {anomaly.reason}"
    _line(console, time_text(anomaly.event_time), anomaly.severity, what, anomaly.anomaly_id)


def show_alert(console: Console, alert: alert_pb2.Alert) -> None:
    """One line: when, how bad, which alert, firing or resolved."""
    state = alert_pb2.AlertState.Name(alert.state).removeprefix("ALERT_STATE_").lower()
    name = next((label.value for label in alert.labels if label.name == "alertname"), "")
    rest = [label for label in alert.labels if label.name != "alertname"]
    what = f"{name}{series_text(rest) if rest else ''} {state}"
    _line(console, time_text(alert.update_time), alert.severity, what, alert.alert_id)


def show_stage(console: Console, stage: explainer_pb.StageUpdate) -> None:
    """One line for each step of the work that is done."""
    if stage.status == explainer_pb.STAGE_STATUS_STARTED:
        return
    name = explainer_pb.Stage.Name(stage.stage).removeprefix("STAGE_").lower()
    mark = "[green]done[/]" if stage.status == explainer_pb.STAGE_STATUS_DONE else "[yellow]part[/]"
    console.print(f"  {name:<10} {mark}  {escape(stage.message)}".rstrip())


def show_suspects(console: Console, explanation: explainer_pb.Explanation) -> None:
    """Suspects, best first, each with how sure it is and its first reason."""
    for suspect in explanation.suspects:
        console.print(
            f"  {suspect.rank}. [cyan]{bar(suspect.confidence)}[/] "
            f"[bold]{escape(suspect.entity)}[/]  {_sure(suspect.confidence)}"
        )
        for reason in suspect.reasons[:1]:
            console.print(f"     {escape(reason.text)} [dim]{' '.join(reason.evidence_ids)}[/]")


def _sure(confidence: float) -> str:
    return f"{confidence:.0%} sure" if confidence >= _SURE_SHOWN else "less than 1% sure"


def show_evidence(
    console: Console, explanation: explainer_pb.Explanation, *, at_most: int | None = None
) -> None:
    """A line each: id, kind, title, first figures; a link below. What is cited comes first."""
    cited = {
        evidence_id
        for suspect in explanation.suspects
        for reason in suspect.reasons
        for evidence_id in reason.evidence_ids
    }
    ordered = sorted(explanation.evidence, key=lambda each: each.evidence_id not in cited)
    for evidence in ordered[:at_most]:
        kind = explainer_pb.EvidenceKind.Name(evidence.kind).removeprefix("EVIDENCE_KIND_")
        figures = ", ".join(_figure(figure) for figure in evidence.figures[:_FIGURES_SHOWN])
        console.print(
            f"  {evidence.evidence_id:<4} {kind.lower().replace('_', ' '):<14} "
            f"{escape(evidence.title)}" + (f"  [dim]{escape(figures)}[/]" if figures else ""),
            soft_wrap=True,
        )
        if evidence.link:
            console.print(f"       {escape(evidence.link)}", soft_wrap=True)
    if at_most is not None and len(ordered) > at_most:
        console.print(f"  and {len(ordered) - at_most} more")


def show_explanation(
    console: Console, explanation: explainer_pb.Explanation, *, evidence_at_most: int | None = None
) -> None:
    """The whole answer: suspects, evidence, text, and where it can be found again."""
    if explanation.suspects:
        console.print("\n[bold]Suspects[/]")
        show_suspects(console, explanation)
    if explanation.evidence:
        console.print("\n[bold]Evidence[/]")
        show_evidence(console, explanation, at_most=evidence_at_most)
    console.print("\n[bold]Explanation[/]")
    for title, text in _texts(explanation):
        console.print(f"  [bold]{title}[/] {escape(text)}", soft_wrap=not console.is_terminal)
    if explanation.group.size > 1:
        console.print(
            f"  one of {explanation.group.size} alike, group {explanation.group.group_id}"
        )
    if explanation.explanation_id:
        console.print(
            f"\n  explanation {explanation.explanation_id}   trace {explanation.trace_id}"
        )


def show_short(console: Console, explanation: explainer_pb.Explanation, subject_id: str) -> None:
    """What is read at night, and where the rest is."""
    lines = [(title, text) for title, text in _texts(explanation) if title in _SHORT]
    for title, text in lines:
        console.print(f"[bold]{title}[/] {escape(text)}", soft_wrap=not console.is_terminal)
    if explanation.group.size > 1:
        console.print(f"One of {explanation.group.size} alike.")
    console.print(f"[dim]`sensus explain {escape(subject_id)} --all` shows all evidence.[/]")


def _texts(explanation: explainer_pb.Explanation) -> list[tuple[str, str]]:
    wording = explanation.wording
    who = " ".join(part for part in (wording.provider, wording.model) if part)
    if wording.degraded_reason:
        who = f"{who} ({wording.degraded_reason})"
    insufficient = explanation.verdict == explainer_pb.VERDICT_INSUFFICIENT_EVIDENCE
    cause = "the evidence names no cause" if insufficient else explanation.root_cause
    texts = [
        ("Cause:", cause),
        ("What happened:", explanation.summary),
        ("Do first:", explanation.mitigation),
        ("Other than before:", explanation.difference),
        ("Worded by:", who),
    ]
    return [(title, text) for title, text in texts if text]


def _figure(figure: explainer_pb.Figure) -> str:
    unit = "" if figure.unit in ("", "1") else f" {figure.unit}"
    return f"{figure.name} {number_text(figure.value)}{unit}"


def _line(console: Console, when: str, severity: int, what: str, subject_id: str) -> None:
    name = series_pb2.Severity.Name(series_pb2.Severity.ValueType(severity))
    text = name.removeprefix("SEVERITY_").lower()
    style = _STYLE_BY_SEVERITY.get(severity, "default")
    console.print(
        f"{when}  [{style}]{text:<8}[/]  {escape(what)}  [dim]{subject_id}[/]", soft_wrap=True
    )
