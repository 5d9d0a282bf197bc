"""One process of a shop: `python -m shop JSON`. Each line that it reads is the fault of now."""

import asyncio
import json
import sys
from typing import Any

import grpc
import redis.asyncio
from shop.services import ROLES, Mailer, Service, Shop, customers, made
from shop.telemetry import Disturbances, Sending, Telemetry


async def main(settings: dict[str, Any]) -> None:
    """Runs the services named in the settings until the input ends."""
    shop = Shop(
        settings["name"],
        settings["ports"],
        lambda: redis.asyncio.Redis.from_url(settings["redis"]),
        settings["database"],
    )
    made(shop)
    sending = Sending(
        target=settings["target"],
        token=settings["token"],
        disturbances=Disturbances(**settings["disturbances"]),
    )
    running = Running(shop, sending)
    for role in settings["roles"]:
        await running.start(role, "1.0.0")
    works = [asyncio.create_task(customers(shop, settings["pace"]))] if settings["pace"] else []
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        shop.fault = line.strip()
        await running.meet(shop.fault)
    for work in works:
        work.cancel()
    await running.close()


class Running:
    """The services of this process."""

    def __init__(self, shop: Shop, sending: Sending) -> None:
        """None yet."""
        self._shop, self._sending = shop, sending
        self._services: dict[str, tuple[Service, Telemetry, Any]] = {}

    async def start(self, role: str, version: str) -> None:
        """Starts a service, or another version of it in its place."""
        if role in self._services:
            await self._stop(role)
        name = f"{self._shop.name}-{role}"
        telemetry = Telemetry(name, version, f"{name}-1", self._sending)
        service = ROLES[role](self._shop, telemetry)
        if isinstance(service, Mailer):
            self._services[role] = service, telemetry, asyncio.create_task(service.run())
            return
        server = grpc.aio.server(interceptors=telemetry.server_interceptors())
        handlers = {
            full.partition("/")[2]: grpc.unary_unary_rpc_method_handler(handler)
            for full, handler in service.methods.items()
        }
        named = next(iter(service.methods)).partition("/")[0]
        generic = grpc.method_handlers_generic_handler(named, handlers)
        server.add_generic_rpc_handlers((generic,))
        server.add_insecure_port(f"127.0.0.1:{self._shop.ports[role]}")
        await server.start()
        self._services[role] = service, telemetry, server

    async def meet(self, fault: str) -> None:
        """What a fault changes beside what services do."""
        if fault == "harmless-deploy" and "box" in self._services:
            await self.start("box", "1.1.0")
            self._services["box"][0].is_new = True

    async def _stop(self, role: str) -> None:
        _, telemetry, server = self._services.pop(role)
        if isinstance(server, asyncio.Task):
            server.cancel()
        else:
            await server.stop(1)
        await asyncio.to_thread(telemetry.close)

    async def close(self) -> None:
        """Ends all services, and sends what waits."""
        for role in list(self._services):
            await self._stop(role)


asyncio.run(main(json.loads(sys.argv[1])))
