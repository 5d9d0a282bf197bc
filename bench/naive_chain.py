"""The naive chain: for each sample one POST, one INSERT, one XADD and one `predict`.

What a first draft of such a system looks like, on the same PostgreSQL 18 and Redis, with the same
kind of model (100 trees of 256 samples): `bench/chain.py` measures it beside ours.

    python bench/naive_chain.py DSN REDIS_URL PORT
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import numpy as np
import redis.asyncio
import uvicorn
from sklearn.ensemble import IsolationForest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

TABLE = """
CREATE TABLE IF NOT EXISTS naive_metrics (
    id bigserial PRIMARY KEY,
    metric_name text,
    metric_value float8,
    labels jsonb,
    timestamp timestamptz DEFAULT now()
);
CREATE INDEX IF NOT EXISTS naive_metrics_labels ON naive_metrics USING gin (labels);
CREATE INDEX IF NOT EXISTS naive_metrics_name ON naive_metrics (metric_name, timestamp);
"""


def app(dsn: str, redis_url: str) -> Starlette:
    """The service: one route."""
    model = IsolationForest(n_estimators=100, max_samples=256, random_state=1)
    model.fit(np.random.default_rng(1).normal(size=(2000, 1)))

    @asynccontextmanager
    async def lifespan(service: Starlette) -> AsyncIterator[None]:
        async with asyncpg.create_pool(dsn, min_size=4, max_size=10) as pool:
            await pool.execute(TABLE)
            async with redis.asyncio.Redis.from_url(redis_url, protocol=3) as stream:
                service.state.pool, service.state.stream = pool, stream
                yield

    async def take(request: Request) -> JSONResponse:
        sample = await request.json()
        state = request.app.state
        await state.pool.execute(
            "INSERT INTO naive_metrics (metric_name, metric_value, labels) VALUES ($1, $2, $3)",
            sample["metric_name"],
            sample["metric_value"],
            json.dumps(sample["labels"]),
        )
        await state.stream.xadd("naive", {"sample": json.dumps(sample)})
        verdict = model.predict([[sample["metric_value"]]])
        return JSONResponse({"anomaly": bool(verdict[0] == -1)})

    return Starlette(routes=[Route("/metrics", take, methods=["POST"])], lifespan=lifespan)


if __name__ == "__main__":
    service = app(sys.argv[1], sys.argv[2])
    server = uvicorn.Server(
        uvicorn.Config(service, port=int(sys.argv[3]), log_level="warning", access_log=False)
    )
    asyncio.run(server.serve())
