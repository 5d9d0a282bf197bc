"""Dead letters."""

import re
from collections.abc import Sequence
from typing import Final

from mesh.errors import InvalidInput
from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.ingest.convert.alerts import alert
from services.ingest.convert.common import invalid, timestamp
from services.ingest.model.alerts import DeadLetter

_MOST_IDS: Final = 1000
_ID: Final = re.compile(r"([0-9]{1,18})(\.[0-9]{1,9})?")


def dead_letter(known: DeadLetter) -> pb.DeadLetter:
    """A dead letter for the wire."""
    return pb.DeadLetter(
        delivery_id=str(known.delivery_id),
        alert=alert(known.alert),
        attempts=known.attempts,
        reason=known.reason,
        bury_time=timestamp(known.bury_time_ms),
    )


def redrive_ids(sent: Sequence[str]) -> list[int]:
    """The numbers of dead letters; what is no id of ours is unknown, and skipped.

    Raises:
        InvalidInput: DELIVERY_IDS_EMPTY; INVALID_INPUT when there are too many.
    """
    if not sent:
        raise InvalidInput("delivery_ids: send at least one", reason="DELIVERY_IDS_EMPTY")
    if len(sent) > _MOST_IDS:
        raise invalid("delivery_ids", f"send at most {_MOST_IDS}", "INVALID_INPUT")
    found = (_ID.fullmatch(each) for each in sent)
    return [int(each[1]) for each in found if each]
