"""What people read: one line per event, aligned, nothing lost in a pipe."""

import io
import re

from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from cli.render.formats import bar, number_text, series_text
from cli.render.reports import show_alert, show_anomaly, show_explanation, show_stage
from sensus.core.v1 import alert_pb2, series_pb2
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.explainer.v1 import explainer_service_pb2 as explainer_pb

NOON = Timestamp(seconds=1_700_000_000)


def labels(**pairs: str) -> list[series_pb2.Label]:
    return [series_pb2.Label(name=name, value=value) for name, value in pairs.items()]


def shown(show: object, message: object) -> str:
    console = Console(file=io.StringIO(), width=200, highlight=False)
    show(console, message)
    return console.file.getvalue()


def test_an_anomaly_is_one_line_with_its_reason() -> None:
    anomaly = detector_pb.Anomaly(
        anomaly_id="a1",
        labels=labels(__name__="cpu", host="[red]a"),
        severity=series_pb2.SEVERITY_CRITICAL,
        event_time=NOON,
        reason="99.5 is above the expected 1 to 12.25",
    )
    line = shown(show_anomaly, anomaly)
    assert line.count("\n") == 1
    assert 'critical  cpu{host="[red]a"}: 99.5 is above the expected 1 to 12.25  a1' in line


def test_an_alert_is_one_line_with_its_state() -> None:
    alert = alert_pb2.Alert(
        alert_id="b2",
        labels=labels(alertname="HighCpu", host="a"),
        state=alert_pb2.ALERT_STATE_RESOLVED,
        severity=series_pb2.SEVERITY_WARNING,
        update_time=NOON,
    )
    assert 'warning   HighCpu{host="a"} resolved  b2\n' in shown(show_alert, alert)
    alert.labels.pop()
    assert "warning   HighCpu resolved  b2\n" in shown(show_alert, alert)


def test_a_stage_is_told_when_it_is_over() -> None:
    stage = explainer_pb.StageUpdate(
        stage=explainer_pb.STAGE_RANKING, status=explainer_pb.STAGE_STATUS_STARTED
    )
    assert shown(show_stage, stage) == ""
    stage.status, stage.message = explainer_pb.STAGE_STATUS_DEGRADED, "no graph"
    assert shown(show_stage, stage) == "  ranking    part  no graph\n"


def test_an_explanation_shows_suspects_evidence_text_and_trace() -> None:
    explanation = explainer_pb.Explanation(
        explanation_id="e1",
        verdict=explainer_pb.VERDICT_EXPLAINED,
        root_cause="burner uses all cores",
        summary="CPU rose.",
        trace_id="f" * 32,
        wording=explainer_pb.Wording(provider="template", degraded_reason="model is away"),
        suspects=[
            explainer_pb.Suspect(
                rank=1,
                entity="burner",
                score=4,
                confidence=0.9,
                reasons=[explainer_pb.SuspectReason(text="it rose", evidence_ids=["E1", "E2"])],
            ),
            explainer_pb.Suspect(rank=2, entity="other", score=1, confidence=0.1),
        ],
        evidence=[
            explainer_pb.Evidence(
                evidence_id="E1",
                kind=explainer_pb.EVIDENCE_KIND_MOVED_SERIES,
                title="cpu of burner",
                figures=[explainer_pb.Figure(name="observed", value=199.9, unit="%")],
            ),
            explainer_pb.Evidence(
                evidence_id="E2",
                kind=explainer_pb.EVIDENCE_KIND_EXAMPLE,
                title="ValueError: too hot",
                link="https://jaeger.example.com/trace/4bf9",
            ),
        ],
    )
    text = shown(show_explanation, explanation)
    link = "       https://jaeger.example.com/trace/4bf9\n"
    assert re.search(rf"\n  E2 +example +ValueError: too hot\n{link}", text)
    assert f"  1. {bar(0.9)} burner  90% sure\n     it rose E1 E2\n" in text
    assert f"  2. {bar(0.1)} other  10% sure\n" in text
    assert re.search(r"\n  E1 +moved series +cpu of burner +observed 199\.9 %\n", text)
    assert "  Cause: burner uses all cores\n  What happened: CPU rose.\n" in text
    assert "  Worded by: template (model is away)\n" in text
    assert f"explanation e1   trace {'f' * 32}\n" in text


def test_without_a_cause_it_says_so() -> None:
    explanation = explainer_pb.Explanation(verdict=explainer_pb.VERDICT_INSUFFICIENT_EVIDENCE)
    assert "Cause: the evidence names no cause\n" in shown(show_explanation, explanation)


def test_numbers_and_series_are_short() -> None:
    assert [number_text(value) for value in (0.123456, 12.0, 1234567.0)] == [
        "0.1235",
        "12",
        "1,234,567",
    ]
    assert number_text(float("nan")) == "nan"
    assert series_text(labels(__name__="up")) == "up"
    assert series_text(labels(host="a")) == '{host="a"}'
    assert len(bar(-1)) == len(bar(0.37)) == len(bar(2)) == 24
