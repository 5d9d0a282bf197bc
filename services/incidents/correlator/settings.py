"""What the correlator was tuned for. Chosen with one system left out; see docs/incidents.md."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Times are milliseconds.

    Attributes:
        together_ms: Alerts at most so far apart come together.
        cycle_ms: How often rules are evaluated: alerts of the same evaluators come in step with it.
            0: nothing is in step, alone or not.
        in_step_ms: How exactly.
        pause_min_ms: The pause that ends a burst is at least this, two cycles.
        pause_max_ms: And at most this, three of them.
        pause_alerts: Between both, the time in which so many alerts come by chance.
        related_ms: What comes together waits so much longer at a service one call away.
        bounded_ms: A burst that is older takes only related services.
        reopen_ms: What fires again so soon after its incident was resolved belongs to it.
        chronic_per_hour: What fires by itself more often opens and extends nothing.
        memory_ms: How long it is remembered how often something fires by itself.
    """

    together_ms: int = 2_000
    cycle_ms: int = 60_000
    in_step_ms: int = 1_000
    pause_min_ms: int = 120_000
    pause_max_ms: int = 180_000
    pause_alerts: float = 4.0
    related_ms: int = 30_000
    bounded_ms: int = 1_800_000
    reopen_ms: int = 1_800_000
    chronic_per_hour: float = 2.0
    memory_ms: int = 7 * 86_400_000
