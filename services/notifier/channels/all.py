"""Every channel, by its name."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from services.notifier.channels.apprise import AppriseChannel
from services.notifier.channels.email import EmailChannel
from services.notifier.channels.http import ConnectionLimits, open_http
from services.notifier.channels.message import Channel
from services.notifier.channels.pagerduty import PagerDutyChannel
from services.notifier.channels.secrets import Secrets
from services.notifier.channels.servicenow import ServiceNowChannel
from services.notifier.channels.slack import SlackChannel
from services.notifier.channels.webhook import WebhookChannel
from services.notifier.routing.receivers import Rate

FOLDS: Final = frozenset({"webhook", "email", "slack", "apprise"})
"""These can tell several notices in one; the others wait for their turn."""

RATES: Final[Mapping[str, Rate]] = {
    "slack": Rate(notices=20, per_s=20.0),
    "email": Rate(notices=30, per_s=60.0),
    "apprise": Rate(notices=30, per_s=60.0),
}
"""What a receiver of the channel takes when its routing says nothing else."""


@asynccontextmanager
async def open_channels(
    reaching: ConnectionLimits, secrets: Secrets
) -> AsyncIterator[dict[str, Channel]]:
    """All of them, over one client of HTTP."""
    async with open_http(reaching) as http:
        yield {
            "webhook": WebhookChannel(http, secrets),
            "email": EmailChannel(secrets, reaching),
            "slack": SlackChannel(http, secrets),
            "pagerduty": PagerDutyChannel(http, secrets),
            "servicenow": ServiceNowChannel(http, secrets),
            "apprise": AppriseChannel(secrets, reaching.within_s),
        }
