"""Metrics of the explainer: name, unit, meaning, what to do when it moves."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from mesh.exemplars import TracedHistogram
from services.explainer.llm.provider import Endpoint, Usage
from services.explainer.model.explanation import Explanation

_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)

EXPLANATIONS: Final = Counter(
    "sensus_explanations_total",
    "Explanations finished. Verdict insufficient_evidence rising: sources fail or metrics are "
    "missing; an empty verdict means failed: read the log.",
    ["verdict", "provider"],
)
DURATION: Final = TracedHistogram(
    "sensus_explanation_duration_seconds",
    "From the begin of an explanation to its stored result. Above 1 s with provider template: "
    "look at the stages.",
    ["provider"],
    buckets=_SECONDS,
)
STAGE_DURATION: Final = Histogram(
    "sensus_explanation_stage_duration_seconds",
    "Time of one stage. Gathering slow: look at the sources; wording slow: the language model.",
    ["stage"],
    buckets=_SECONDS,
)
SOURCE_DURATION: Final = Histogram(
    "sensus_explainer_source_duration_seconds",
    "Time one source took. At the deadline: it is cut off, and evidence is missing.",
    ["source"],
    buckets=_SECONDS,
)
SOURCE_FAILURES: Final = Counter(
    "sensus_explainer_source_failures_total",
    "Times a source gave nothing. Rising: the service behind it is down or too slow.",
    ["source"],
)
EVIDENCE: Final = Counter(
    "sensus_explanation_evidence_total",
    "Pieces of evidence by kind. Kind missing rising: see the failures by source.",
    ["kind"],
)
STRUCK_CLAIMS: Final = Counter(
    "sensus_explanation_struck_claims_total",
    "Sentences struck because the evidence does not hold them. Of the template it must stay 0; "
    "of a provider, rising means a worse model or prompt.",
    ["provider"],
)
LLM_FAILURES: Final = Counter(
    "sensus_llm_failures_total",
    "Calls of a language model whose text was not used. The template stood in: check the provider.",
    ["provider", "reason"],
)
LLM_DURATION: Final = TracedHistogram(
    "sensus_llm_call_duration_seconds",
    "Time of one call of a language model, failures included. Rising: the provider is loaded, or "
    "prompts grow.",
    ["provider"],
    buckets=_SECONDS,
)
LLM_ANSWERS: Final = Counter(
    "sensus_llm_answers_total",
    "Texts of language models, asked for now or kept from the last hour. Asked rising with the "
    "alerts: they differ, or the store of answers is away.",
    ["provider", "origin"],
)
LLM_CIRCUIT_OPEN: Final = Gauge(
    "sensus_llm_circuit_open",
    "1 while a provider is left alone after failures. Staying 1: look at the failures by reason.",
    ["provider"],
)
LLM_TOKENS: Final = Counter(
    "sensus_llm_tokens_total",
    "Tokens as the provider counts them. Rising faster than the answers: prompts grow.",
    ["provider", "direction"],
)
LLM_COST: Final = Counter(
    "sensus_llm_cost_total",
    "What the calls cost by the configured prices, in their currency. Rising: see the tokens.",
    ["provider"],
)
LIKE_EXPLANATIONS: Final = Counter(
    "sensus_like_explanations_total",
    "Explanations that a model did not word because a like one was. Rising fast: a storm.",
)
FORGOTTEN: Final = Counter(
    "sensus_explainer_forgotten_total",
    "Explanations whose frames, or which themselves, were deleted because of their age. Flat for "
    "days on an old installation: see the log.",
    ["what"],
)
REVISIONS: Final = Counter(
    "sensus_explanation_revisions_total",
    "Explanations made anew by themselves, as evidence came that decides. Rising beside the "
    "explanations: something is sent late.",
)
JOBS_RUNNING: Final = Gauge(
    "sensus_explanations_running",
    "Explanations being made by this process. Only ever rising: sources or models hang.",
)
TAKEOVERS: Final = Counter(
    "sensus_explanation_takeovers_total",
    "Explanations taken over from a run that died. Rising without restarts: the loop stalls.",
)
DELIVERIES: Final = Counter(
    "sensus_explainer_deliveries_total",
    "Alert changes and anomalies taken in. Outcome retry rising: see the failures; "
    "buried: look at the dead letters.",
    ["kind", "outcome"],
)
WATCHERS: Final = Gauge(
    "sensus_explainer_watchers",
    "Open watches of explanations. 0 with consumers running: they cannot reach this replica.",
)
WATCH_CURSOR: Final = Gauge(
    "sensus_explainer_anomaly_cursor",
    "Place in the log of anomalies up to which all is explained. Stuck: nobody holds the watch.",
)


def observe_tokens(endpoint: Endpoint, usage: Usage) -> None:
    """Counts what one call of a language model took."""
    LLM_TOKENS.labels(endpoint.name, "read").inc(usage.input_tokens)
    LLM_TOKENS.labels(endpoint.name, "written").inc(usage.output_tokens)
    LLM_COST.labels(endpoint.name).inc(usage.cost(endpoint))


def observe(explanation: Explanation, duration_s: float) -> None:
    """Counts one finished explanation."""
    provider = explanation.wording.provider
    EXPLANATIONS.labels(explanation.verdict.value, provider).inc()
    DURATION.labels(provider).observe(duration_s)
    STRUCK_CLAIMS.labels(provider).inc(explanation.wording.struck_claims)
    for piece in explanation.evidence:
        EVIDENCE.labels(piece.kind.value).inc()
