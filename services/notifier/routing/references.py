"""Secrets by reference: `env:NAME` or `file:/path`. What is refused is never repeated."""

import re
from typing import Final
from urllib.parse import urlsplit

from services.notifier.routing.receivers import (
    Apprise,
    Email,
    Integration,
    PagerDuty,
    ServiceNow,
    Slack,
    Webhook,
)
from services.notifier.routing.text import Faults

REFERENCE: Final = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:/[^\0]*")
_SECRETS: Final[dict[type[Integration], tuple[str, ...]]] = {
    Webhook: ("secret", "authorization"),
    Email: ("auth_password",),
    Slack: ("token",),
    PagerDuty: ("routing_key",),
    ServiceNow: ("password", "token"),
    Apprise: ("url",),
}
_ADDRESSES: Final[dict[type[Integration], str]] = {
    Webhook: "url",
    Slack: "api_url",
    PagerDuty: "url",
    ServiceNow: "url",
}
_OWN: Final = "env:SENSUS_"


def is_reference(text: str) -> bool:
    """Whether a text names the place of a secret."""
    return REFERENCE.fullmatch(text) is not None


def references(way: Integration) -> list[str]:
    """All references of an integration."""
    fields = (*_SECRETS[type(way)], *filter(None, [_ADDRESSES.get(type(way))]))
    return [text for name in fields if is_reference(text := getattr(way, name))]


def check_references(way: Integration, path: str, faults: Faults) -> None:
    """Notes secrets that are written out, and addresses that are none."""
    for name in _SECRETS[type(way)]:
        text = getattr(way, name)
        if text and not is_reference(text):
            message = "be a reference, env:NAME or file:/path: secrets are not stored"
            faults.add(f"{path}.{name}", message)
        elif text.startswith(_OWN):
            faults.add(f"{path}.{name}", "name no variable of Sensus itself")
    name = _ADDRESSES.get(type(way), "")
    if name and (why := _address_fault(getattr(way, name))):
        faults.add(f"{path}.{name}", why)
    if isinstance(way, Email):
        _check_email(way, path, faults)
    if isinstance(way, ServiceNow) and not way.token and not (way.username and way.password):
        faults.add(path, "have a token, or a username and a password")


def _address_fault(text: str) -> str:
    if is_reference(text):
        return "name no variable of Sensus itself" if text.startswith(_OWN) else ""
    try:
        url = urlsplit(text)
        port_fits = url.port is None or url.port > 0
    except ValueError:
        return "be an address such as https://example.com/path"
    if url.scheme not in ("http", "https") or not url.hostname or not port_fits:
        return "be an address such as https://example.com/path"
    if url.username or url.password:
        return "hold no password: put it behind a reference"
    if not text.isprintable() or " " in text or len(text) > 2048:
        return "be at most 2048 printable characters without blanks"
    return ""


def _check_email(way: Email, path: str, faults: Faults) -> None:
    host, found, port = way.smarthost.rpartition(":")
    if not (found and host and port.isdecimal() and 0 < int(port) < 65536):
        faults.add(f"{path}.smarthost", "be host:port, such as mail.example.com:587")
    for name in ("to", "sender"):
        text = getattr(way, name)
        shown = "from" if name == "sender" else name
        each = [part.strip() for part in text.split(",")]
        if not text.isprintable() or not all("@" in part.strip("<>") for part in each):
            faults.add(f"{path}.{shown}", "be mail addresses with commas between them")
