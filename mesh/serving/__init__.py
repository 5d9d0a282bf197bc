"""The life of a server and of its process: start, work, drain, stop, in that order."""

from mesh.drain import Drain
from mesh.serving.errors import BindError, ServerDied, WorkerDied
from mesh.serving.process import Worker, main, run
from mesh.serving.server import Server
from mesh.serving.standard import standard_server

__all__ = [
    "BindError",
    "Drain",
    "Server",
    "ServerDied",
    "Worker",
    "WorkerDied",
    "main",
    "run",
    "standard_server",
]
