"""What each service has open, added up of the members."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mesh.postgres import guard

if TYPE_CHECKING:
    from mesh.postgres import Pool

ServicePlace = tuple[int, int, int, int, int, str]
"""A service in the list: what fires by severity, incidents, recent anomalies, negated; its name."""

FIRST: Final[ServicePlace] = (-(2**62), 0, 0, 0, 0, "")
_FIRING: Final = ",\n        ".join(
    f"count(*) FILTER (WHERE end_ms = 0 AND kind = {kind} AND severity = {severity})"
    f" AS {severity_name}_{kind_name}"
    for kind, kind_name in ((1, "alerts"), (2, "anomalies"))
    for severity, severity_name in ((3, "critical"), (2, "warning"), (1, "info"))
)
_COUNTS: Final = (
    "critical_alerts", "warning_alerts", "info_alerts",
    "critical_anomalies", "warning_anomalies", "info_anomalies",
    "recent_anomalies", "open_incidents",
)  # fmt: skip
_LIST: Final = f"""
WITH fires AS (
    SELECT service, {_FIRING},
        count(*) FILTER (WHERE kind = 2 AND start_ms >= $1) AS recent_anomalies
    FROM incidents.member WHERE (end_ms = 0 OR start_ms >= $1) AND service <> ''
    GROUP BY service
), stands AS (
    SELECT service, count(DISTINCT incident_id) AS open_incidents
    FROM incidents.incident JOIN incidents.member USING (incident_id)
    WHERE state IN (1, 2, 3) AND service <> '' GROUP BY service
), calls AS (
    SELECT DISTINCT service FROM unnest($2::text[]) AS called (service)
), status AS (
    SELECT service, {", ".join(f"coalesce({each}, 0) AS {each}" for each in _COUNTS)}
    FROM fires FULL JOIN stands USING (service) FULL JOIN calls USING (service)
), placed AS (
    SELECT *, -(critical_alerts + critical_anomalies) AS p1,
        -(warning_alerts + warning_anomalies) AS p2, -(info_alerts + info_anomalies) AS p3,
        -open_incidents AS p4, -recent_anomalies AS p5
    FROM status WHERE strpos(lower(service), lower($3)) > 0 OR $3 = ''
)
SELECT service, {", ".join(_COUNTS)} FROM placed
WHERE (p1, p2, p3, p4, p5, service) > ($4, $5, $6, $7, $8, $9)
ORDER BY p1, p2, p3, p4, p5, service LIMIT $10
"""  # noqa: S608 - of texts above


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """What a service or host has open, in numbers of members and incidents."""

    service: str
    critical_alerts: int
    warning_alerts: int
    info_alerts: int
    critical_anomalies: int
    warning_anomalies: int
    info_anomalies: int
    recent_anomalies: int
    open_incidents: int

    @property
    def place(self) -> ServicePlace:
        """Where it stands in the list."""
        return (
            -self.critical_alerts - self.critical_anomalies,
            -self.warning_alerts - self.warning_anomalies,
            -self.info_alerts - self.info_anomalies,
            -self.open_incidents,
            -self.recent_anomalies,
            self.service,
        )


class ServiceStore:
    """Adds up what fires, what began lately and what stands open."""

    def __init__(self, pool: "Pool") -> None:
        """Borrows connections of `pool`."""
        self._pool = pool

    async def page(
        self,
        text: str,
        called: Collection[str],
        since_ms: int,
        after: ServicePlace,
        limit: int,
    ) -> list[ServiceStatus]:
        """Up to `limit` services behind `after`, the worst first.

        Reads every member that fires or began since, and those of open incidents.

        Args:
            text: Part of the name, in any case; empty for all.
            called: Services that are listed whether or not they have members.
            since_ms: Anomalies that began at or after it are recent.
            after: A place, or FIRST.
            limit: Most services.
        """
        with guard("list_services"):
            rows = await self._pool.fetch(_LIST, since_ms, list(called), text, *after, limit)
        return [ServiceStatus(**row) for row in rows]
