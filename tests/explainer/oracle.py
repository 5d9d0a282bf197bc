"""Reads sentences back and recomputes them from the evidence, without the product's predicates."""

import re
from typing import Any

from services.explainer.claims.facts import Facts
from services.explainer.model.evidence import Evidence
from tests.explainer.drawn_facts import EVENT_MS


class Oracle:
    """Reads sentences back and recomputes them; knows the evidence and nothing of the product."""

    def __init__(self, facts: Facts) -> None:
        """Of these facts."""
        self.facts = facts
        self.by_id = {piece.evidence_id: piece for piece in facts.evidence}

    def agrees(self, text: str) -> bool:
        """Whether a sentence says nothing but what the evidence that it cites shows."""
        cited = [self.by_id.get(id) for id in re.findall(r"\[(E\d+)\]", text)]
        if any(piece is None for piece in cited):
            return False
        pieces = [piece for piece in cited if piece is not None]
        return (
            self._calls(text)
            and self._directions(text, pieces)
            and self._order(text, pieces)
            and self._numbers(text, pieces)
            and self._cause(text)
            and self._traces(text, pieces)
        )

    def _calls(self, text: str) -> bool:
        called = re.fullmatch(r"(\w+) calls (\w+)\.", text)
        return called is None or (called[1], called[2]) in self.facts.calls

    def _cause(self, text: str) -> bool:
        named = re.match(r"(\w+) is the most likely cause", text)
        return named is None or named[1] == self.facts.suspects[0].suspect.entity

    def _traces(self, text: str, pieces: list[Evidence]) -> bool:
        """More errors than due, a larger share of the answers, or more time than usual."""
        if text.startswith("For example in "):
            return f"For example in {pieces[0].labels['service']}, " in text
        if not text.startswith("In the traces "):
            return True
        (piece,) = pieces
        told = re.findall(r"-?\d+(?:\.\d+)?", re.sub(r"\[E\d+\]", "", text))
        value = {figure.name: figure.value for figure in piece.figures}
        if "errors begin in" in text:
            return value["errors"] > value["expected"] and len(told) == 3
        if " answers of " in text:
            seen = value["answers"] * value["all_usual_answers"]
            return seen > value["usual_answers"] * value["all_answers"] and len(told) == 4
        caller = piece.labels.get("caller")
        waits = f"In the traces {caller} waits " in text
        return value["mean"] > value["usual_mean"] and len(told) == 2 and waits == bool(caller)

    def _directions(self, text: str, pieces: list[Evidence]) -> bool:
        levels = [(self._value(p, "baseline"), self._value(p, "observed")) for p in pieces]
        ups = [after >= before for before, after in levels if None not in (before, after)]
        return not (" rose from " in text and True not in ups) and not (
            " fell from " in text and False not in ups
        )

    def _order(self, text: str, pieces: list[Evidence]) -> bool:
        if " began " not in text or not re.search(r"began .+ before (?!the alert)", text):
            return True
        first, second = (self._begun(piece) for piece in pieces)
        return first is not None and second is not None and first < second

    def _numbers(self, text: str, pieces: list[Evidence]) -> bool:
        """Every number is, rounded to two digits, a figure or a time of the evidence."""
        bare = re.sub(r"\[E\d+\]|\d\d:\d\d:\d\d UTC|\d{4}-\d\d-\d\d", " ", text)
        told = [
            float(n) for n in re.findall(r"(?<![\w.\"{])-?\d+(?:\.\d+)?(?:e-?\d+)?(?![\w\"])", bare)
        ]
        known = {f.value for piece in pieces for f in piece.figures}
        for piece in pieces:
            begun = self._begun(piece)
            known |= {abs(EVENT_MS - at) / 1000 for at in (begun, piece.start_ms) if at is not None}
        if len(pieces) == 2:
            begun = [self._begun(piece) for piece in pieces]
            known |= {(begun[1] - begun[0]) / 1000} if None not in begun else set()  # type: ignore[operator]
        scaled = {v / k for v in known for k in (1, 60, 3600, 86400, 1024, 1024**2, 1024**3)}
        return all(any(abs(n - v) <= 0.05 * abs(v) + 1e-9 for v in scaled) for n in told)

    def _value(self, piece: Evidence, name: str) -> Any:
        return next((f.value for f in piece.figures if f.name == name), None)

    def _begun(self, piece: Evidence) -> int | None:
        for name in ("full", "change"):
            for side, sign in (("before", -1), ("after", 1)):
                if (seconds := self._value(piece, f"{name}_{side}_event")) is not None:
                    return EVENT_MS + sign * round(1000 * seconds)
        dated = ("alert", "anomaly", "threshold")
        return piece.start_ms if piece.kind.value in dated else None
