"""Evidence gets its number here, and is told as soon as it has one."""

from collections.abc import Awaitable, Callable, Iterable, Sequence

from services.explainer.model.evidence import LOOKED_FOR, Evidence, EvidenceKind
from services.explainer.model.names import plain

NEVER_SENT = "what this installation is sent"

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
        numbered = [piece.numbered(f"E{number}") for number, piece in enumerate(pieces, first)]
        self._evidence += numbered
        if numbered:
            await self._tell(numbered)
        return numbered

    async def add_missing(self, notes: Iterable[str], at_ms: int) -> None:
        """Names what was looked for around that time and is not there."""
        await self.add(_missing(note, at_ms, LOOKED_FOR) for note in notes)

    async def add_unknown(self, notes: Sequence[str], at_ms: int) -> None:
        """Names in one piece what is not there because it was never sent."""
        note = f"never sent, so not looked at: {', '.join(notes)}"
        await self.add(_missing(each, at_ms, NEVER_SENT) for each in [note] if notes)


def _missing(note: str, at_ms: int, source: str) -> Evidence:
    return Evidence(
        kind=EvidenceKind.MISSING,
        source=source,
        title=plain(note, 300),
        start_ms=at_ms,
        end_ms=at_ms,
    )
