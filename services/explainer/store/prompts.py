"""Prompt templates and how the texts made with them fared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from mesh import audit
from mesh.errors import FailedPrecondition, NotFound
from mesh.postgres import guard
from services.explainer.model.templates import Template

if TYPE_CHECKING:
    import asyncpg

    from mesh.postgres import Pool

_COLUMNS = """name, version, text, weight, author,
    (extract(epoch FROM create_time) * 1000000)::bigint AS create_us"""
_ALL = f"SELECT {_COLUMNS} FROM explainer.prompt ORDER BY name, version"  # noqa: S608
_SHIP = """
INSERT INTO explainer.prompt (name, version, text, weight, author) VALUES ($1, $2, $3, $4, '')
ON CONFLICT (name, version) DO NOTHING
"""
_LOCK = "LOCK TABLE explainer.prompt IN SHARE ROW EXCLUSIVE MODE"
_NEWEST = f"""
SELECT {_COLUMNS} FROM explainer.prompt WHERE name = $1 ORDER BY version DESC LIMIT 1
"""  # noqa: S608
_WRITE = f"""
INSERT INTO explainer.prompt (name, version, text, weight, author)
VALUES ($1, $2, $3, 0, $4) RETURNING {_COLUMNS}
"""  # noqa: S608
_WEIGH = f"""
UPDATE explainer.prompt SET weight = $3 WHERE name = $1 AND version = $2 RETURNING {_COLUMNS}
"""  # noqa: S608
_WEIGHT = "SELECT weight FROM explainer.prompt WHERE name = $1 AND version = $2"
_WEIGHED = "SELECT count(*) FROM explainer.prompt WHERE weight > 0"
_KEEP = """
INSERT INTO explainer.outcome (explanation_id, prompt_id, provider, model, used, struck, duration_s,
    input_tokens, output_tokens, cost, cached)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (explanation_id) DO NOTHING
"""
_OUTCOMES = """
SELECT prompt_id, count(*) AS asked, count(*) FILTER (WHERE used) AS used,
    count(*) FILTER (WHERE used AND struck = 0) AS clean, sum(struck) AS struck,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_s) FILTER (WHERE NOT cached) AS median_s,
    avg(input_tokens) FILTER (WHERE input_tokens > 0) AS input_tokens,
    avg(output_tokens) FILTER (WHERE output_tokens > 0) AS output_tokens, sum(cost) AS cost,
    sum(judged."right") AS "right", sum(judged.partly) AS partly, sum(judged.wrong) AS wrong
FROM explainer.outcome
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE verdict = 'right') AS "right",
        count(*) FILTER (WHERE verdict = 'partly') AS partly,
        count(*) FILTER (WHERE verdict = 'wrong') AS wrong
    FROM explainer.feedback WHERE feedback.explanation_id = outcome.explanation_id AND used
) AS judged ON true
GROUP BY prompt_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the text of one explanation fared."""

    prompt_id: str
    provider: str
    model: str
    used: bool
    struck: int
    duration_s: float
    input_tokens: int
    output_tokens: int
    cost: float
    cached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Outcomes of one template taken together; see `sensus.explainer.v1.PromptOutcomes`."""

    asked: int = 0
    used: int = 0
    clean: int = 0
    struck: int = 0
    median_s: float = 0.0
    input_tokens: float = 0.0
    output_tokens: float = 0.0
    cost: float = 0.0
    right: int = 0
    partly: int = 0
    wrong: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptTemplate:
    """A template as it is stored. `create_us` is microseconds since the Unix epoch."""

    template: Template
    create_us: int


class Prompts:
    """Reads and writes templates; the only one that changes them."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool

    async def ship(self, templates: Sequence[Template]) -> None:
        """Adds those that come with the product; one that is there stays as it is."""
        rows = [(each.name, each.version, each.text, each.weight) for each in templates]
        with guard("ship_prompts"):
            await self._pool.executemany(_SHIP, rows)

    async def all(self) -> list[KeptTemplate]:
        """Every template, by name and version."""
        with guard("list_prompts"):
            return [_kept(row) for row in await self._pool.fetch(_ALL)]

    async def get(self, prompt_id: str) -> Template:
        """One template.

        Raises:
            NotFound: There is none of that id.
        """
        for each in await self.all():
            if each.template.id == prompt_id:
                return each.template
        raise NotFound("prompt", prompt_id)

    async def write(self, name: str, text: str, author: str) -> KeptTemplate:
        """The text as the next version; the newest one if that has the same text."""
        with guard("write_prompt"):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_LOCK)
                newest = await connection.fetchrow(_NEWEST, name)
                if newest is not None and newest["text"] == text:
                    return _kept(newest)
                version = newest["version"] + 1 if newest else 1
                (row,) = await connection.fetch(_WRITE, name, version, text, author)
                detail = audit.changes(None, {"text": text})
                await _audit(connection, "prompt.write", f"{name}@{version}", detail)
        return _kept(row)

    async def weigh(self, prompt_id: str, weight: float) -> KeptTemplate:
        """Sets the weight of a template.

        Raises:
            NotFound: There is none of that id.
            FailedPrecondition: LAST_PROMPT, none would have a weight.
        """
        name, _, version = prompt_id.partition("@")
        if not version.isdecimal() or len(version) > 9:
            raise NotFound("prompt", prompt_id)
        with guard("weigh_prompt"):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_LOCK)
                before = await connection.fetchval(_WEIGHT, name, int(version))
                row = await connection.fetchrow(_WEIGH, name, int(version), weight)
                if row is None:
                    raise NotFound("prompt", prompt_id)
                if not await connection.fetchval(_WEIGHED):
                    message = "no template would have a weight: give another one a weight first"
                    raise FailedPrecondition(message, reason="LAST_PROMPT")
                detail = audit.changes({"weight": before}, {"weight": weight})
                await _audit(connection, "prompt.weigh", prompt_id, detail)
        return _kept(row)

    async def keep(self, explanation_id: UUID, outcome: Outcome) -> None:
        """Remembers how a text fared; the first word on an explanation stands."""
        values = (
            outcome.prompt_id,
            outcome.provider,
            outcome.model,
            outcome.used,
            outcome.struck,
            outcome.duration_s,
            outcome.input_tokens,
            outcome.output_tokens,
            outcome.cost,
            outcome.cached,
        )
        with guard("keep_outcome"):
            await self._pool.execute(_KEEP, explanation_id, *values)

    async def outcomes(self) -> dict[str, Figures]:
        """How the texts fared, by template."""
        with guard("read_outcomes"):
            rows = await self._pool.fetch(_OUTCOMES)
        return {row["prompt_id"]: _figures(row) for row in rows}


async def _audit(
    connection: "audit.Connection", action: str, prompt_id: str, detail: audit.Detail
) -> None:
    await audit.append(connection, "explainer", action=action, subject=prompt_id, detail=detail)


def _kept(row: "asyncpg.Record") -> KeptTemplate:
    template = Template(
        name=row["name"],
        version=row["version"],
        text=row["text"],
        weight=row["weight"],
        author=row["author"],
    )
    return KeptTemplate(template=template, create_us=row["create_us"])


def _figures(row: "asyncpg.Record") -> Figures:
    return Figures(
        asked=row["asked"],
        used=row["used"],
        clean=row["clean"],
        struck=int(row["struck"]),
        median_s=row["median_s"] or 0.0,
        input_tokens=float(row["input_tokens"] or 0),
        output_tokens=float(row["output_tokens"] or 0),
        cost=row["cost"],
        right=int(row["right"]),
        partly=int(row["partly"]),
        wrong=int(row["wrong"]),
    )
