"""A channel to one service of the running product, as the user admin."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from cli.product.directory import DataDirectory
from cli.product.tokens import user_token
from mesh.clients import open_channel

INGEST = "sensus.ingest.v1.IngestService"
DETECTOR = "sensus.detector.v1.DetectorService"
EXPLAINER = "sensus.explainer.v1.ExplainerService"
INCIDENTS = "sensus.incidents.v1.IncidentsService"
NOTIFIER = "sensus.notifier.v1.NotifierService"
TOPOLOGY = "sensus.topology.v1.TopologyService"


@asynccontextmanager
async def connect(directory: DataDirectory, service: str) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to `service`; Problem when nothing runs in `directory`."""
    run = directory.running()
    targets = {
        INGEST: run.ingest_target,
        DETECTOR: run.detector_target,
        EXPLAINER: run.explainer_target,
        INCIDENTS: run.incidents_target,
        NOTIFIER: run.notifier_target,
        TOPOLOGY: run.topology_target,
    }
    async with open_channel(
        targets[service], service=service, tokens=lambda: user_token(directory), caller="cli"
    ) as channel:
        yield channel


def request_id() -> str:
    """A new one: a call that is repeated by itself acts once."""
    return uuid.uuid4().hex
