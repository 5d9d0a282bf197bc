"""Label sets by the bytes in which their sender writes them, so that each is read once."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from numpy.typing import NDArray

from services.ingest.model.labels import SeriesKey
from services.ingest.model.samples import Int64s
from services.ingest.model.writes import Definition
from services.ingest.wire.fields import Spans
from services.ingest.wire.texts import Body, Remembered

MOST: Final = 1 << 18
"""Label sets of a generation: a sender of so many series has none of them read twice."""

MOST_TEXT_BYTES: Final = 128 * 1024 * 1024
"""Of label sets of a generation: the bytes by which they are known may be a hundredth of these."""


class LabelSets:
    """Remembers label sets; those not met for long are forgotten first. For one thread."""

    def __init__(self, most: int = MOST, most_text_bytes: int = MOST_TEXT_BYTES) -> None:
        """Remembers at least the last `most`, which must be as many as one body may have.

        Fewer, where their texts take more than `most_text_bytes`.
        """
        self._remembered = Remembered(most, object, weigh=_text_bytes, most_weight=most_text_bytes)

    def of(
        self,
        body: Body,
        spans: Spans,
        read: Callable[[Sequence[int]], Iterable[Definition]],
        scopes: Int64s | None = None,
    ) -> list[Definition]:
        """The label set of each span; `read` gives those of the places that are new.

        The same bytes mean another one in another scope, a number for each span. What `read`
        raises is raised: then these places are as new as before.
        """
        found = self._remembered.of(body, spans, lambda places: [*read(places)], scopes)
        known: list[Definition] = found.tolist()
        return known


def _text_bytes(definitions: NDArray[Any]) -> int:
    return sum(each.text_bytes for each in definitions if isinstance(each, SeriesKey))
