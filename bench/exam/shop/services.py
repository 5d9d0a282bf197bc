"""What each service does, well and with each fault, which is one word set from outside."""

import asyncio
import logging
import random
import sqlite3
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from opentelemetry import propagate, trace
from shop.telemetry import Telemetry

Handler = Callable[[bytes, Any], Awaitable[bytes]]
MAILS = {"messaging.system": "redis", "messaging.destination.name": "mails"}


class Shop:
    """What the services of one shop share: addresses, cache, database, and the fault of now."""

    def __init__(self, name: str, ports: dict[str, int], redis: Any, database: str) -> None:
        """`redis` makes a new client."""
        self.name, self.ports, self.new_redis, self.database = name, ports, redis, database
        self.fault = ""
        self.dice = random.Random(name)

    def happens(self, fault: str, share: float = 1.0) -> bool:
        """Whether this request meets a fault."""
        return self.fault == fault and self.dice.random() < share


class Service:
    """One service: it answers, and calls others."""

    def __init__(self, shop: Shop, telemetry: Telemetry, *, is_second: bool = False) -> None:
        """Opens what it needs; `is_second` of two instances."""
        self.shop, self.telemetry, self.is_second = shop, telemetry, is_second
        self.is_new = False
        self.log: logging.Logger = telemetry.logger
        self.cache = telemetry.of_redis(shop.new_redis())
        self._stubs: dict[tuple[str, int], Any] = {}

    @property
    def methods(self) -> dict[str, Handler]:
        """By full name."""
        return {}

    async def call(self, method: str, within_s: float = 5.0) -> bytes:
        """Calls `tickets.Seats/Hold` of any instance of the service `seats`."""
        role = method.partition("/")[0].rpartition(".")[2].lower()
        instances = [name for name in (role, f"{role}-2") if name in self.shop.ports]
        port = self.shop.ports[self.shop.dice.choice(instances)]
        if (method, port) not in self._stubs:
            channel = grpc.aio.insecure_channel(
                f"127.0.0.1:{port}", interceptors=self.telemetry.client_interceptors()
            )
            self._stubs[method, port] = channel.unary_unary(f"/{method}")
        return bytes(await self._stubs[method, port](b"", timeout=within_s))

    def query(self, *statements: str) -> None:
        """Runs statements on the database, in a thread."""
        connection = self.telemetry.of_sqlite(sqlite3.connect(self.shop.database, timeout=5))
        try:
            cursor = connection.cursor()
            for each in statements:
                cursor.execute(each)
            connection.commit()
        finally:
            connection.close()


class Box(Service):
    """Sells a ticket."""

    @property
    def methods(self) -> dict[str, Handler]:
        return {"tickets.Box/Buy": self.buy}

    async def buy(self, request: bytes, context: Any) -> bytes:
        if self.is_new:
            self.log.warning("the seat map is not set, its default is used")
        quotes = 8 if self.shop.happens("call-loop", 0.7) else 1
        found = [self.call("tickets.Prices/Quote") for _ in range(quotes)]
        await asyncio.gather(*found, self.call("tickets.Seats/Hold"))
        within_s = 0.008 if self.shop.happens("short-timeout", 0.6) else 5.0
        await self.call("tickets.Bank/Charge", within_s)
        with self.telemetry.tracer.start_as_current_span(
            "publish mails", kind=trace.SpanKind.PRODUCER,
            attributes={**MAILS, "messaging.operation.type": "publish"},
        ):  # fmt: skip
            carrier: dict[str, str] = {"id": "1"}
            propagate.inject(carrier)
            await self.cache.xadd(f"{self.shop.name}:mails", carrier, maxlen=1000)
        return b"sold"


class Seats(Service):
    """Holds a seat."""

    @property
    def methods(self) -> dict[str, Handler]:
        return {"tickets.Seats/Hold": self.hold}

    async def hold(self, request: bytes, context: Any) -> bytes:
        if self.shop.happens("early-return", 0.5):
            return b"held"
        if self.shop.happens("busy-loop"):
            until_s = time.process_time() + 0.1
            while time.process_time() < until_s:
                pass
        if self.shop.happens("slow-branch"):
            await asyncio.sleep(0.25)
        queries = ["SELECT count(*) FROM seats", "INSERT INTO seats VALUES (1)"]
        if self.shop.happens("extra-queries", 0.7):
            queries[:1] *= 9
        await asyncio.to_thread(self.query, *queries)
        await self.cache.set(f"{self.shop.name}:seats", 1)
        return b"held"


class Prices(Service):
    """Says what a ticket costs."""

    @property
    def methods(self) -> dict[str, Handler]:
        return {"tickets.Prices/Quote": self.quote}

    async def quote(self, request: bytes, context: Any) -> bytes:
        key = f"{self.shop.name}:price"
        if self.is_new and self.shop.happens("bad-deploy", 0.3):
            raise TypeError("price is no number")
        if self.shop.happens("swallowed", 0.6):
            try:
                raise KeyError("price of row 7")
            except KeyError:
                self.log.exception("price is missing, the list price is used")
            return b"100"
        price = await self.cache.get(key)
        if price is None or self.shop.dice.random() < 0.1:
            price = await self.call("tickets.Rates/Get")
            await self.cache.set(key, price)
        return bytes(price)


class Rates(Service):
    """Knows rates of exchange."""

    @property
    def methods(self) -> dict[str, Handler]:
        return {"tickets.Rates/Get": self.get}

    async def get(self, request: bytes, context: Any) -> bytes:
        if self.shop.happens("rare-path"):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "unknown currency")
        await asyncio.sleep(0.005)
        return b"100"


class Bank(Service):
    """Charges a card."""

    @property
    def methods(self) -> dict[str, Handler]:
        return {"tickets.Bank/Charge": self.charge}

    async def charge(self, request: bytes, context: Any) -> bytes:
        if self.shop.happens("exception", 0.4):
            raise ValueError("no such currency")
        if self.shop.happens("wrong-status", 0.5):
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "card is locked")
        if self.is_second and self.shop.happens("one-instance"):
            raise OSError("no space left on device")
        if self.shop.happens("slow-code"):
            await asyncio.sleep(0.3)
        await asyncio.sleep(0.02)
        await asyncio.to_thread(self.query, "INSERT INTO charges VALUES (1)")
        return b"charged"


class Mailer(Service):
    """Takes mails from the queue and sends them; its spans are linked to who published."""

    async def run(self) -> None:
        """For ever."""
        stream, last = f"{self.shop.name}:mails", "$"
        reader = self.shop.new_redis()
        while True:
            for _, messages in await reader.xread({stream: last}, block=1000) or []:
                for place, content in messages:
                    last = place
                    await self._taken({k.decode(): v.decode() for k, v in content.items()})

    async def _taken(self, message: dict[str, str]) -> None:
        came = trace.get_current_span(propagate.extract(message)).get_span_context()
        try:
            with self.telemetry.tracer.start_as_current_span(
                "process mails", kind=trace.SpanKind.CONSUMER, links=[trace.Link(came)],
                attributes={**MAILS, "messaging.operation.type": "process"},
            ):  # fmt: skip
                await self.send()
        except Exception:
            self.log.exception("mail is not sent")

    async def send(self) -> None:
        """Sends one mail."""
        if self.shop.happens("consumer", 0.5):
            raise ConnectionError("the mail server hung up")
        await asyncio.sleep(0.01)
        await self.cache.set(f"{self.shop.name}:sent", 1)


ROLES: dict[str, type[Service]] = {
    "box": Box, "seats": Seats, "prices": Prices, "rates": Rates, "bank": Bank, "mailer": Mailer,
}  # fmt: skip


def made(shop: Shop) -> None:
    """Makes the tables."""
    connection = sqlite3.connect(shop.database, timeout=10)
    connection.execute("PRAGMA journal_mode=WAL")
    for table in ("seats", "charges"):
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} (id INTEGER)")
    connection.commit()
    connection.close()


async def customers(shop: Shop, per_second: float) -> None:
    """Buys tickets at a pace, from outside: nobody traces a customer."""
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{shop.ports['box']}")
    buy, waiting = channel.unary_unary("/tickets.Box/Buy"), set[asyncio.Task[None]]()

    async def one() -> None:
        try:
            await buy(b"", timeout=10)
        except grpc.aio.AioRpcError:
            return

    while True:
        task = asyncio.create_task(one())
        waiting.add(task)
        task.add_done_callback(waiting.discard)
        pace = per_second * (2.5 if shop.fault == "surge" else 1.0)
        await asyncio.sleep(shop.dice.expovariate(pace))
