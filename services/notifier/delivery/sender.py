"""One claimed notice: worded, sent, and what came of it."""

import asyncio
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace

from opentelemetry.trace import SpanKind

from mesh.clock import Clock
from mesh.telemetry import span
from services.notifier.channels.message import Channel, Message
from services.notifier.channels.secrets import SecretFault, Secrets, without
from services.notifier.model.notices import Outcome
from services.notifier.routing.receivers import Integration, channel_of
from services.notifier.routing.references import references
from services.notifier.routing.tree import Routing
from services.notifier.store import Claim
from services.notifier.texts.custom import CustomTexts
from services.notifier.texts.facts import facts_of
from services.notifier.texts.wording import compose_notice

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Sends by the channel of the notice's integration, within `within_s` whatever it does."""

    channels: Mapping[str, Channel]
    secrets: Secrets
    custom_texts: CustomTexts
    clock: Clock
    public_url: str
    within_s: float

    async def send(self, claim: Claim, routing: Routing) -> Outcome:
        """What came of it; nothing is raised but a cancellation."""
        notice = claim.notice
        incident = notice.content.incident
        with span(
            "deliver notice",
            kind=SpanKind.CLIENT,
            parent=incident.traceparent if incident else "",
            attributes={
                "sensus.notice_id": str(notice.notice_id),
                "sensus.incident_id": notice.incident_id,
                "sensus.channel": channel_of(notice.integration),
                "sensus.attempt": notice.attempt,
            },
            always_sample=True,
        ) as opened:
            outcome = await self._outcome(claim, routing)
            opened.set_attribute("sensus.status", outcome.status)
            if outcome.error:
                opened.set_attribute("error.type", outcome.error[:200])
            return outcome

    async def _outcome(self, claim: Claim, routing: Routing) -> Outcome:
        notice = claim.notice
        receiver = routing.receivers.get(notice.receiver)
        way = receiver.integrations.get(notice.integration) if receiver else None
        if way is None:
            fault = "the routing has this receiver no more"
            return Outcome(error=fault, is_final=True, of_notice=True)
        try:
            async with asyncio.timeout(self.within_s):
                message = await self._message(claim, way, routing)
                channel = self.channels[channel_of(notice.integration)]
                return self._kept(await channel.deliver(way, message), way)
        except SecretFault as fault:
            return Outcome(error=str(fault))
        except TimeoutError:
            return Outcome(error=f"no answer within {self.within_s:g} s")
        except Exception:
            error_id = uuid.uuid4().hex
            logger.exception("unforeseen error", extra={"error_id": error_id})
            return Outcome(error=f"internal error {error_id}")

    def _kept(self, outcome: Outcome, way: Integration) -> Outcome:
        """What is written down of it: a server may send back what it was sent."""
        known = [self.secrets.read(each) for each in references(way)]
        return replace(
            outcome, answer=without(outcome.answer, known), error=without(outcome.error, known)
        )

    async def _message(self, claim: Claim, way: Integration, routing: Routing) -> Message:
        notice = claim.notice
        now_ms = self.clock.now_ms()
        notice_text = compose_notice(
            notice.kind,
            notice.title,
            notice.content,
            age_s=notice.late_s,
            public_url=self.public_url,
        )
        facts = facts_of(
            notice_text, notice.content.incident, notice.kind, notice.receiver, claim.members
        )
        notice_text = await self.custom_texts.over(notice_text, way, routing, facts)
        return Message(
            notice=notice,
            notice_text=notice_text,
            now_ms=now_ms,
            reference=claim.reference,
            members=claim.members,
            public_url=self.public_url,
        )
