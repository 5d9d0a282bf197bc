"""What people ask of the notifier: routing changed and tried, notices sent again."""

import asyncio
import uuid
from dataclasses import dataclass
from typing import Final

from mesh.clock import Clock
from mesh.errors import FailedPrecondition, NotFound
from services.notifier.channels.secrets import SecretFault, Secrets
from services.notifier.decisions.holds import HoldRules
from services.notifier.feed import RoutingFeed
from services.notifier.model.incident import Incident, Severity, State
from services.notifier.model.notices import Content, Event, Kind, NewNotice, Notice
from services.notifier.routing.document import read
from services.notifier.routing.references import references
from services.notifier.routing.text import Faults
from services.notifier.routing.tree import Match, Routing
from services.notifier.store import Incidents, Notices, check_over
from services.notifier.store.fallback import again
from services.notifier.texts.custom import CustomTexts
from services.notifier.texts.facts import facts_of
from services.notifier.texts.templates import TemplateFault, Templates
from services.notifier.texts.wording import NoticeText, compose_notice, title_of

_EXAMPLE: Final = Incident(
    incident_id="example",
    state=State.OPEN,
    severity=Severity.CRITICAL,
    title="checkout: errors",
    labels={"alertname": "Errors", "severity": "critical", "service": "checkout"},
    services=("checkout",),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queries:
    """Answers, with all that is needed for it."""

    feed: RoutingFeed
    incidents: Incidents
    notices: Notices
    templates: Templates
    secrets: Secrets
    clock: Clock
    public_url: str

    async def checked(self, yaml: str) -> tuple[Routing, Faults, list[str]]:
        """A routing, its faults, and what can be meant otherwise than it reads."""
        routing, faults = await asyncio.to_thread(read, yaml)
        if not faults.found:
            await self._try_templates(routing, faults)
        return routing, faults, await asyncio.to_thread(self._unreadable, routing)

    async def tried(
        self, routing: Routing, labels: dict[str, str], incident_id: str, time_ms: int
    ) -> tuple[Incident, list[tuple[Match, str]]]:
        """The incident that is asked about, or one of the labels; the routes that it would take,
        and what would hold each back.

        Raises:
            NotFound: INCIDENT_NOT_FOUND.
        """
        if incident_id:
            incident = await self.incidents.get(incident_id)
        else:
            incident = _incident_of(labels)
        inhibitor = await self.incidents.inhibitor(routing, incident)
        now_ms = time_ms or self.clock.now_ms()
        holds = HoldRules(routing=routing, now_ms=now_ms, inhibitor=inhibitor)
        return incident, [
            (match, holds.of(Kind.OPENED, incident, match.route))
            for match in routing.matches(incident.labels, incident.member_labels)
        ]

    async def worded(
        self, routing: Routing, incident: Incident, receiver: str
    ) -> list[tuple[str, NoticeText]]:
        """What each integration of a receiver would get when the incident opens."""
        event = Event(time_ms=incident.open_ms or self.clock.now_ms())
        title = title_of(Kind.OPENED, incident, event)
        content = Content(event=event, incident=incident)
        notice_text = compose_notice(
            Kind.OPENED, title, content, age_s=0.0, public_url=self.public_url
        )
        facts = facts_of(notice_text, incident, Kind.OPENED, receiver)
        found = routing.receivers.get(receiver)
        texts = CustomTexts(templates=self.templates)
        return [
            (name, await texts.over(notice_text, way, routing, facts))
            for name, way in (found.integrations.items() if found else ())
        ]

    async def resend(self, notice_id: uuid.UUID, request_id: str) -> Notice:
        """The same notice once more.

        Raises:
            NotFound: NOTICE_NOT_FOUND.
            FailedPrecondition: NOTICE_PENDING, RECEIVER_GONE.
        """
        notice = await self.notices.get(notice_id)
        check_over(notice)
        if not self.feed.routing.has(notice.receiver, notice.integration):
            message = f"the routing has no {notice.integration} of {notice.receiver} any more"
            raise FailedPrecondition(f"{message}: put it back first", reason="RECEIVER_GONE")
        step = _step("resend", f"{notice_id}-{request_id}", request_id)
        if notice.kind is Kind.DIGEST:
            step = f"{notice.digest}/{step}"
        anew = again(notice, step=step)
        (sent,) = await self.notices.add(
            [anew], action="notice.resend", subject=str(notice.notice_id)
        )
        return sent

    async def send_test(self, receiver: str, request_id: str) -> list[Notice]:
        """Tells a receiver that this is a test.

        Raises:
            NotFound: RECEIVER_NOT_FOUND.
        """
        found = self.feed.routing.receivers.get(receiver)
        if found is None:
            raise NotFound("receiver", receiver[:200])
        step = _step("test", f"{receiver}-{request_id}", request_id)
        text = "Somebody tries whether notices arrive here. Nothing happened."
        tests = [
            NewNotice(
                incident_id="",
                transition=0,
                kind=Kind.TEST,
                severity=Severity.INFO,
                receiver=receiver,
                integration=name,
                title="[INFO] Test notice of Sensus",
                content=Content(event=Event(time_ms=self.clock.now_ms(), text=text)),
                step=step,
            )
            for name in found.integrations
        ]
        return await self.notices.add(tests, action="receiver.test", subject=receiver)

    async def _try_templates(self, routing: Routing, faults: Faults) -> None:
        notice_text = NoticeText(title=_EXAMPLE.title, facts=(("state", str(_EXAMPLE.state)),))
        facts = facts_of(notice_text, _EXAMPLE, Kind.OPENED, "example")
        for name, receiver in routing.receivers.items():
            for integration, way in receiver.integrations.items():
                for field in ("title", "text"):
                    if not (text := getattr(way, field)):
                        continue
                    try:
                        own = {field: routing.templates.get(text, text)}
                        await self.templates.render(own, facts)
                    except TemplateFault as fault:
                        path = f"receivers.{name}.{integration}.{field}"
                        faults.add(path, f"be a template that can be rendered; this one {fault}")

    def _unreadable(self, routing: Routing) -> list[str]:
        """References that lead nowhere now: they may be put in place later."""
        warnings = []
        for receiver in routing.receivers.values():
            for integration, way in receiver.integrations.items():
                for reference in references(way):
                    try:
                        self.secrets.read(reference)
                    except SecretFault as fault:
                        warnings.append(f"{receiver.name}, {integration}: {fault}")
            if not receiver.integrations:
                warnings.append(f"{receiver.name} has no integrations: it reaches nobody")
        return warnings


def _incident_of(labels: dict[str, str]) -> Incident:
    """One with these labels, as it would be when its first alert fires."""
    severity, service = labels.get("severity", ""), labels.get("service", "")
    name = labels.get("alertname", "an alert")
    return Incident(
        incident_id="example",
        state=State.OPEN,
        severity=Severity(severity) if severity in set(Severity) else Severity.INFO,
        title=f"{name} at {service}" if service else name,
        labels=labels,
        environment=labels.get("environment", ""),
        services=(service,) if service else (),
        member_count=1,
        firing_count=1,
    )


def _step(what: str, named: str, request_id: str) -> str:
    """The same for the same request; new for one without an id."""
    return f"{what}-{named}" if request_id else f"{what}-{uuid.uuid4()}"
