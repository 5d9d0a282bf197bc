"""Is it there?"""

from typing import Final

from observability.rules.rule import Group, Rule, Severity
from observability.services import in_the_mesh

_COMPONENT: Final = 'sensus_component_healthy{{job="sensus",service="gateway",component="{}"}}'


def _service_missing() -> Rule:
    """Nobody scrapes a service that is not configured: `up` has no series then, not a 0."""
    targets = {each.name: f'up{{job="sensus",service="{each.name}"}}' for each in in_the_mesh()}
    missing, *others = targets
    return Rule(
        name="SensusServiceMissing",
        expr=" or ".join(f"absent({target})" for target in targets.values()),
        severity=Severity.CRITICAL,
        summary="Prometheus knows no target of the service {{ $labels.service }}",
        labels={"job": "sensus", "service": missing},
        fires={targets[other]: "1x20" for other in others},
        quiet=dict.fromkeys(targets.values(), "1x20"),
    )


def _component(
    name: str, component: str, severity: Severity, summary: str, lasts: str = "2m"
) -> Rule:
    series = _COMPONENT.format(component)
    return Rule(
        name=name,
        expr=f'max by (component) (sensus_component_healthy{{component="{component}"}}) == 0',
        lasts=lasts,
        severity=severity,
        summary=summary,
        labels={"component": component},
        fires={series: "1x5 0x15"},
        quiet={series: "1x8 0 1x11"},
    )


GROUP: Final = Group(
    name="sensus-availability",
    rules=(
        Rule(
            name="SensusServiceDown",
            expr='up{job="sensus"} == 0',
            lasts="1m",
            severity=Severity.CRITICAL,
            summary="{{ $labels.service }} at {{ $labels.instance }} does not answer scrapes",
            labels={"job": "sensus", "service": "ingest", "instance": "ingest:9461"},
            fires={'up{job="sensus",service="ingest",instance="ingest:9461"}': "1x5 0x15"},
            quiet={'up{job="sensus",service="ingest",instance="ingest:9461"}': "1x5 0 1x14"},
        ),
        _service_missing(),
        _component(
            "SensusPostgresDown",
            "database",
            Severity.CRITICAL,
            "No service reaches PostgreSQL: nothing is accepted",
            lasts="1m",
        ),
        _component(
            "SensusStorageFull",
            "storage",
            Severity.CRITICAL,
            "PostgreSQL answers and cannot write: nothing is accepted",
            lasts="1m",
        ),
        _component(
            "SensusRedisDown",
            "redis",
            Severity.WARNING,
            "Redis does not answer: nothing is lost, deliveries are slower, rates are not limited",
        ),
        _component(
            "SensusLlmDown",
            "llm",
            Severity.WARNING,
            "No language model answers: explanations are worded by the template",
            lasts="5m",
        ),
        Rule(
            name="SensusRestarting",
            expr='changes(process_start_time_seconds{job="sensus"}[15m]) > 2',
            lasts="0m",
            severity=Severity.WARNING,
            summary="{{ $labels.service }} at {{ $labels.instance }} restarts again and again",
            labels={"job": "sensus", "service": "detector", "instance": "detector:9462"},
            fires={
                'process_start_time_seconds{job="sensus",service="detector",'
                'instance="detector:9462"}': "0+60x20"
            },
            quiet={
                'process_start_time_seconds{job="sensus",service="detector",'
                'instance="detector:9462"}': "0x10 600x10"
            },
        ),
    ),
)
