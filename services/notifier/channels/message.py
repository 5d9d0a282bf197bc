"""What a channel is given, and what it must do with it."""

from dataclasses import dataclass
from typing import Final, Protocol

from services.notifier.model.incident import Incident, State
from services.notifier.model.notices import Kind, Notice, Outcome
from services.notifier.routing.receivers import Integration
from services.notifier.texts.wording import NoticeText

ANSWER_BYTES_MAX: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One notice, ready to be put into the form of a channel.

    Attributes:
        now_ms: When it goes out, Unix milliseconds.
        reference: What the server calls the message of the same incident; empty for none yet.
        members: Of a digest, the titles of what it tells, the worst first.
        public_url: Where people find the product; empty when that is not known.
    """

    notice: Notice
    notice_text: NoticeText
    now_ms: int
    reference: str = ""
    members: tuple[str, ...] = ()
    public_url: str = ""

    @property
    def incident(self) -> Incident | None:
        """What it is about; None for digests, tests and the like."""
        return self.notice.content.incident

    @property
    def is_resolved(self) -> bool:
        """Whether it tells that an incident is over."""
        return self.notice.kind in (Kind.RESOLVED, Kind.MERGED)

    @property
    def is_acknowledged(self) -> bool:
        """Whether it tells that somebody is on it."""
        return self.notice.kind is Kind.ACKNOWLEDGED or (
            self.incident is not None and self.incident.state is State.ACKNOWLEDGED
        )

    @property
    def thread(self) -> str:
        """What groups all messages of an incident: its id, or the notice's own."""
        return self.notice.incident_id or str(self.notice.notice_id)


class Channel(Protocol):
    """One kind of way. Nothing that goes wrong at the other side is raised: it is the outcome."""

    async def deliver(self, way: Integration, message: Message) -> Outcome:
        """Tells it once."""
        ...
