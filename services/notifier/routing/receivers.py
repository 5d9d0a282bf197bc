"""Receivers and the ways to them. A secret is never here: only where it is found."""

from dataclasses import dataclass
from typing import Literal

import msgspec

Reference = str
"""`env:NAME` or `file:/path`."""


class Integration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every way has.

    Attributes:
        send_resolved: Whether it gets the end of an incident.
        title: Template of the first line; empty for the product's own.
        text: Template of the rest; empty for the product's own.
    """

    send_resolved: bool = True
    title: str = ""
    text: str = ""


class Webhook(Integration, frozen=True, kw_only=True):
    """An HTTP server that takes JSON.

    Attributes:
        url: The address, or a reference to it where it holds a secret.
        secret: Signs the body.
        authorization: Value of the header of that name.
    """

    url: str
    format: Literal["sensus", "alertmanager", "agent"] = "sensus"
    secret: Reference = ""
    authorization: Reference = ""


class Email(Integration, frozen=True, kw_only=True, rename={"sender": "from"}):
    """A mail server. `to` holds addresses with commas between them."""

    to: str
    sender: str
    smarthost: str
    hello: str = ""
    auth_username: str = ""
    auth_password: Reference = ""
    require_tls: bool = True
    html: bool = True


class Slack(Integration, frozen=True, kw_only=True):
    """Slack's Web API, as a bot."""

    token: Reference
    channel: str
    api_url: str = "https://slack.com/api"


class PagerDuty(Integration, frozen=True, kw_only=True):
    """PagerDuty's Events API v2."""

    routing_key: Reference
    url: str = "https://events.pagerduty.com/v2/enqueue"


class ServiceNow(Integration, frozen=True, kw_only=True):
    """ServiceNow's Table API: with a user, or with a token."""

    url: str
    username: str = ""
    password: Reference = ""
    token: Reference = ""
    table: str = "incident"
    close_code: str = "Solution provided"


class Apprise(Integration, frozen=True, kw_only=True):
    """Any service that apprise knows; `url` is a reference, since such addresses hold secrets."""

    url: Reference


CHANNELS: dict[type[Integration], str] = {
    Webhook: "webhook",
    Email: "email",
    Slack: "slack",
    PagerDuty: "pagerduty",
    ServiceNow: "servicenow",
    Apprise: "apprise",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A bucket that holds `notices` and fills in `per_s` seconds."""

    notices: int
    per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Somebody who can get notices. `integrations` by name: `slack[0]`.

    Attributes:
        rate: What it takes before notices fold into a digest; None for the channel's own.
    """

    name: str
    integrations: dict[str, Integration]
    rate: Rate | None = None


def channel_of(integration: str) -> str:
    """The channel of an integration by its name.

    >>> channel_of("slack[0]")
    'slack'
    """
    return integration.partition("[")[0]
