"""Rows of members and incidents."""

from typing import Any, Final

import msgspec

from services.incidents.model.incident import Incident, Member

COLUMNS: Final = "member_id, kind, fingerprint, labels, severity, start_ms, end_ms, reason, service"
_DECODER: Final = msgspec.json.Decoder(Incident)


def incident_of(body: bytes) -> Incident:
    """An incident from its row."""
    return _DECODER.decode(body)


def member_of(row: Any) -> Member:
    """A member from a row with COLUMNS."""
    return Member(**{name: row[name] for name in COLUMNS.split(", ")})


def member_row(member: Member) -> tuple[Any, ...]:
    """The values of COLUMNS."""
    return tuple(getattr(member, name) for name in COLUMNS.split(", "))
