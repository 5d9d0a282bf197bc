"""How what was counted of traces is told, in words that follow "In the traces". Pure."""

from services.explainer.claims.figures import lasted, shown
from services.explainer.model.evidence import Evidence, EvidenceKind
from services.explainer.model.names import plain
from services.explainer.model.traces import Reason
from services.explainer.rankers.origins import HOW


def of_traces(piece: Evidence) -> str:
    """Errors that begin somewhere, other calls than usual, or calls that take longer."""
    if piece.kind is EvidenceKind.ORIGIN_ERRORS:
        return _errors(piece)
    return _calls(piece) if piece.kind is EvidenceKind.CALL_SHAPE else _time(piece)


def place_of(piece: Evidence) -> str:
    """`pay, Charge`: the service and the operation that a piece is about."""
    service, operation = (piece.labels.get(name, "") for name in ("service", "operation"))
    return f"{plain(service)}, {plain(operation)}" if operation else plain(service)


def _errors(piece: Evidence) -> str:
    """`errors begin in pay, Charge: exception ValueError, 41 times in 120 requests, …`."""
    why = HOW[Reason(piece.labels.get("reason", Reason.STATUS))]
    detail = plain(piece.labels.get("detail", ""))
    how = f"{why} {detail}" if detail else why
    times = f"{_figure(piece, 'errors')} times in {_figure(piece, 'requests')} requests"
    due = f"{_figure(piece, 'expected')} are usual"
    return f"errors begin in {place_of(piece)}: {how}, {times}, {due}"


def _calls(piece: Evidence) -> str:
    """`34 of 70 answers of stock, Reserve, came without redis GET, usually 1 of 900`."""
    lacks, adds = (plain(piece.labels.get(name, "")) for name in ("lacks", "adds"))
    parts = [f"without {lacks}"] if lacks else []
    parts += [f"with more of {adds}"] if adds else []
    how = " and ".join(parts) or "by other calls"
    seen = f"{_figure(piece, 'answers')} of {_figure(piece, 'all_answers')} answers"
    usual = f"{_figure(piece, 'usual_answers')} of {_figure(piece, 'all_usual_answers')}"
    return f"{seen} of {place_of(piece)}, came {how}, usually {usual}"


def _time(piece: Evidence) -> str:
    """`cart waits 1.2 s for stock, Reserve, usually 0.01 s`, both on average."""
    mean, usual = (_lasted(piece, name) for name in ("mean", "usual_mean"))
    caller = piece.labels.get("caller")
    if caller:
        return f"{plain(caller)} waits {mean} for {place_of(piece)}, usually {usual}"
    return f"{place_of(piece)}, takes {mean} itself, usually {usual}"


def _figure(piece: Evidence, name: str) -> str:
    found = piece.figure(name)
    if found is None:
        return "an unknown number"
    return shown(found)


def _lasted(piece: Evidence, name: str) -> str:
    found = piece.figure(name)
    return lasted(found.value) if found else "an unknown time"
