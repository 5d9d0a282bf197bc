"""What people's templates may ask for; every foreign text in it is inert."""

from collections.abc import Sequence
from typing import Any

import msgspec

from services.notifier.model.incident import Incident
from services.notifier.model.notices import Kind
from services.notifier.texts.inert import inert
from services.notifier.texts.wording import NoticeText


def facts_of(
    notice_text: NoticeText,
    incident: Incident | None,
    kind: Kind,
    receiver: str,
    members: Sequence[str] = (),
) -> dict[str, Any]:
    """Facts of a notice about an incident, or about none."""
    found: dict[str, Any] = _harmless(
        {
            "title": notice_text.title,
            "summary": notice_text.summary,
            "facts": dict(notice_text.facts),
            "kind": str(kind),
            "severity": str(incident.severity) if incident else "info",
            "receiver": receiver,
            "members": list(members),
            "incident": msgspec.to_builtins(incident) if incident else {},
            "labels": incident.labels if incident else {},
        }
    )
    return found | {"link": notice_text.link}


def _harmless(value: Any) -> Any:
    """The same with every text in it inert; structure and numbers stay."""
    if isinstance(value, str):
        return inert(value, 2000)
    if isinstance(value, dict):
        return {inert(str(name), 200): _harmless(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_harmless(each) for each in value]
    return value
