"""Samples streamed to the ingest of the running product, as the user admin."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from cli.problem import Problem
from cli.product.directory import DataDirectory
from cli.product.tokens import user_token
from sensus_client import Ack, ClientError, OpenSender, Outbox, connect, open_sender

_PATIENCE_S = 60.0


@asynccontextmanager
async def sending_to(
    directory: DataDirectory,
    producer_id: str,
    *,
    outbox: Outbox | None = None,
    acked: Callable[[Ack], None] = lambda ack: None,
) -> AsyncIterator[OpenSender]:
    """A sender to the ingest of `directory`; leaving waits for the last ack.

    Raises:
        Problem: nothing runs there, or ingest refuses, or stays away for a minute.
    """
    target = directory.running().ingest_target
    try:
        async with (
            connect(target, token=lambda: user_token(directory)) as channel,
            open_sender(
                channel, producer_id, outbox=outbox, acked=acked, patience_s=_PATIENCE_S
            ) as sender,
        ):
            yield sender
    except ClientError as error:
        raise Problem(f"ingest: {error}") from None
