"""A gRPC server with health, reflection and an orderly stop."""

import asyncio
import logging
from contextlib import suppress
from typing import Final, cast

import grpc

from mesh import reflection, wire
from mesh.drain import Drain
from mesh.health import Health
from mesh.interceptors import Layers
from mesh.interceptors.inflight import Inflight
from mesh.serving.acceptor import GrpcServer
from mesh.serving.descriptors import connections_allowed
from mesh.serving.errors import BindError, ServerDied
from mesh.serving.own_call import GrpcHealth, OwnCall
from mesh.tls import TlsConfig, server_credentials

_CLEAN_UP_S: Final = 5.0
_HEALTH: Final = "grpc.health.v1.Health"

logger = logging.getLogger(__name__)


class Server:
    """A gRPC server with health, reflection and an orderly stop.

    Register servicers on `grpc`, then `start`. Used by services and by tests alike.
    """

    def __init__(
        self,
        *,
        service: str,
        host: str,
        port: int,
        second_port: int = 0,
        interceptors: Layers,
        health: Health,
        drain: Drain,
        tls: TlsConfig | None = None,
        max_message_bytes: int = wire.MAX_MESSAGE_BYTES,
    ) -> None:
        """Listens on `host:port` from `start` on; port 0 takes a free one.

        `second_port` leads to the same; 0 for none.
        """
        self._service = service
        self._second_port = second_port
        self._host = host
        self._port = port
        self._health = health
        self._drain = drain
        self._credentials = server_credentials(tls) if tls else None
        self._tls = tls if self._credentials else None
        self._inflight = Inflight(drain)
        self._probing: asyncio.Task[None] | None = None
        options = wire.server_options(max_message_bytes, connections_allowed())
        self._accepting = GrpcServer([interceptors.within(self._inflight)], options)
        self.grpc = cast("grpc.aio.Server", self._accepting)

    async def start(self) -> int:
        """Serves; becomes SERVING when the dependencies answer.

        Returns:
            The port.

        Raises:
            BindError: The port is taken or not ours to take.
        """
        self._health.register(self.grpc)
        reflection.register((*self._health.service_names, _HEALTH), self.grpc)
        self._port = self._bind(self._port)
        if self._second_port:
            self._bind(self._second_port)
        await self._health.announce()
        await self.grpc.start()
        self._probing = asyncio.create_task(self._health.watch(), name="health")
        logger.info("serving", extra={"address": self._address, "port": self._port})
        return self._port

    async def died(self) -> None:
        """Waits for ever; raises `ServerDied` when the server ends without `stop`.

        Its probing is a part of it: without, it would say for ever what it said last.
        """
        accepting = asyncio.ensure_future(self._accepting.died())
        probing = self._probing or accepting
        try:
            await asyncio.wait([accepting, probing], return_when=asyncio.FIRST_COMPLETED)
            if accepting.done():
                accepting.result()
            raise ServerDied("the probing of the dependencies ended by itself")
        finally:
            accepting.cancel()

    async def stop(self, notice_s: float, grace_s: float) -> None:
        """Stops in the order that loses nothing; a second call returns at once.

        NOT_SERVING, `notice_s` for clients to look elsewhere, the signal to drain, up to `grace_s`
        for running calls, then the end of those that still run, and their clean-up.
        """
        if self._probing is None:
            return
        probing, self._probing = self._probing, None
        await self._health.shutdown()
        await asyncio.sleep(notice_s)
        self._drain.begin()
        if not await self._inflight.finished(grace_s):
            logger.warning("calls still run after the grace; ending them")
        await self.grpc.stop(grace=0)
        await self._inflight.finished(_CLEAN_UP_S)
        probing.cancel()
        with suppress(asyncio.CancelledError):
            await probing
        logger.info("stopped", extra={"address": self._address})

    def own_call(self) -> OwnCall:
        """How the process calls its own port."""
        return OwnCall(self._host, self._port, GrpcHealth, self._tls)

    @property
    def _address(self) -> str:
        return f"{self._host}:{self._port}"

    def _bind(self, port: int) -> int:
        address = f"{self._host}:{port}"
        try:
            if self._credentials is None:
                return self.grpc.add_insecure_port(address)
            return self.grpc.add_secure_port(address, self._credentials)
        except RuntimeError as error:
            message = f"{self._service} cannot listen on {address}: is the port taken?"
            raise BindError(message) from error
