"""One process of a shop: `python -m shop JSON`. Each line that it reads is the fault of now."""

import asyncio
import json
import sys
import threading
from typing import Any

import grpc
import redis.asyncio
from shop.services import ROLES, Mailer, Service, Shop, customers, made
from shop.surroundings import Network, lock
from shop.telemetry import Disturbances, Sending, Telemetry

FIRST, SECOND = "1.0.0", "2.0.0"
"""Versions of a service."""


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
    running, network = Running(shop, sending), None
    for role in settings["roles"]:
        await running.start(role, FIRST)
    ports = settings["ports"]
    if "prices" in settings["roles"]:
        network = await Network(shop).serve(ports["prices"], ports["inside"])
        threading.Thread(target=lock, args=(shop,), daemon=True).start()
    works = [asyncio.create_task(customers(shop, settings["pace"]))] if settings["pace"] else []
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        shop.fault = line.strip()
        await running.meet(shop.fault)
    for work in works:
        work.cancel()
    if network is not None:
        network.close()
    await running.close()


class Running:
    """The services of this process."""

    def __init__(self, shop: Shop, sending: Sending) -> None:
        """None yet."""
        self._shop, self._sending = shop, sending
        self._services: dict[str, tuple[Service, Telemetry, Any]] = {}

    async def start(self, role: str, version: str) -> None:
        """Starts a service."""
        service_role = role.removesuffix("-2")
        name, is_second = f"{self._shop.name}-{service_role}", role != service_role
        telemetry = Telemetry(name, version, f"{name}-{1 + is_second}", self._sending)
        service = ROLES[service_role](self._shop, telemetry, is_second=is_second)
        service.is_new = version != FIRST
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
        port = self._shop.ports["inside" if role == "prices" else role]
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        self._services[role] = service, telemetry, server

    async def meet(self, fault: str) -> None:
        """What a fault changes beside what services do."""
        role = {"harmless-deploy": "box", "bad-deploy": "prices"}.get(fault)
        if role in self._services:
            old = await self._stopped(role)
            await self.start(role, SECOND)
            await asyncio.to_thread(old.close)

    async def _stopped(self, role: str) -> Telemetry:
        """Ends a service; what waits to be sent is in what is returned."""
        _, telemetry, server = self._services.pop(role)
        if isinstance(server, asyncio.Task):
            server.cancel()
        else:
            await server.stop(1)
        return telemetry

    async def close(self) -> None:
        """Ends all services, and sends what waits."""
        stopped = [await self._stopped(role) for role in list(self._services)]
        await asyncio.gather(*(asyncio.to_thread(each.close) for each in stopped))


asyncio.run(main(json.loads(sys.argv[1])))
