"""Evidence gets its number here, and is told as soon as it has one."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace

from services.explainer.explanation import Evidence, EvidenceKind
from services.explainer.names import plain

Tell = Callable[[Sequence[Evidence]], Awaitable[None]]


class Ledger:
    """The evidence of one explanation: E1, E2, … in the order in which it is added."""

    def __init__(self, tell: Tell) -> None:
        """`tell` gets each addition, numbered."""
        self._tell = tell
        self._evidence: list[Evidence] = []

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """All of it so far."""
        return tuple(self._evidence)

    async def add(self, pieces: Iterable[Evidence]) -> list[Evidence]:
        """Numbers the pieces, tells them, and returns them as they are now."""
        first = len(self._evidence) + 1
        numbered = [
            replace(piece, evidence_id=f"E{number}") for number, piece in enumerate(pieces, first)
        ]
        self._evidence += numbered
        if numbered:
            await self._tell(numbered)
        return numbered

    async def add_missing(self, notes: Iterable[str], at_ms: int) -> None:
        """Names what was looked for around that time and is not there."""
        await self.add(
            Evidence(
                kind=EvidenceKind.MISSING,
                source="explainer",
                title=plain(note, 200),
                start_ms=at_ms,
                end_ms=at_ms,
            )
            for note in notes
        )
