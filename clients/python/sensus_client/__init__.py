"""Sends samples to Sensus: batched, acknowledged, kept on disk while the server is away."""

from sensus_client.batch import Batch, Labels, Sample, check_labels
from sensus_client.channel import Channel, Tls, connect
from sensus_client.errors import ClientError, RefusedError, SpoolError, UnavailableError
from sensus_client.memory import MemoryOutbox
from sensus_client.opening import OpenSender, open_sender
from sensus_client.outbox import Counts, Outbox
from sensus_client.sender import Ack, Rejection, SampleSender, Sent
from sensus_client.spool import Spool

__all__ = [
    "Ack",
    "Batch",
    "Channel",
    "ClientError",
    "Counts",
    "Labels",
    "MemoryOutbox",
    "OpenSender",
    "Outbox",
    "RefusedError",
    "Rejection",
    "Sample",
    "SampleSender",
    "Sent",
    "Spool",
    "SpoolError",
    "Tls",
    "UnavailableError",
    "check_labels",
    "connect",
    "open_sender",
]
