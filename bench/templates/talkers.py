"""Programs that talk over the network, to themselves."""

import asyncio
import io
import os
import smtplib
import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from recording import LINES, Kept, chance, until_full, word


def web(kept: Kept) -> None:
    """Tornado serves, urllib3 asks: one system each, by the loggers that are kept."""
    import tornado.httpserver
    import tornado.ioloop
    import tornado.web
    import urllib3

    class Page(tornado.web.RequestHandler):
        def get(self, name: str) -> None:
            if "e" in name and chance.random() < 0.3:
                raise ValueError(name)
            if "a" in name and chance.random() < 0.3:
                raise tornado.web.HTTPError(404, "no page %s", name)
            if "o" in name and chance.random() < 0.3:
                raise tornado.web.MissingArgumentError(name)
            if "i" in name and chance.random() < 0.4:
                self.redirect(f"/shop/{word()}x")
                return
            self.write(name * 10)

        def post(self, name: str) -> None:
            self.write(self.get_body_argument("kind"))

    at: dict[str, Any] = {}
    ready = threading.Event()

    async def serve() -> None:
        server = tornado.httpserver.HTTPServer(tornado.web.Application([(r"/shop/(\w+)", Page)]))
        [listening] = tornado.netutil.bind_sockets(0, "127.0.0.1")
        server.add_sockets([listening])
        at["port"], at["stop"], at["loop"] = (
            listening.getsockname()[1],
            asyncio.Event(),
            asyncio.get_running_loop(),
        )
        ready.set()
        await at["stop"].wait()
        server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait()
    retries = urllib3.Retry(3, backoff_factor=0.001, status_forcelist=[500])

    def work() -> None:
        base = f"http://127.0.0.1:{at['port']}"
        with urllib3.PoolManager(num_pools=2, maxsize=1, retries=retries, timeout=0.5) as pool:
            for _ in range(20):
                with suppress(Exception):
                    pool.request("GET", f"{base}/shop/{word()}")
                with suppress(Exception):
                    pool.request("POST", f"{base}/shop/{word()}", fields={word(): word()})
                with suppress(Exception):
                    pool.request("GET", f"{base}/{word()}/{chance.randint(1, 999)}?q={word()}")
            with suppress(Exception):
                pool.request("GET", f"http://127.0.0.1:1/{word()}")
        with socket.create_connection(("127.0.0.1", at["port"])) as raw:
            raw.sendall(chance.choice([b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nbad\r\n\r\n", b"x" * 9]))
            raw.settimeout(0.05)
            with suppress(Exception):
                raw.recv(100)

    try:
        until_full(kept, work)
    finally:
        at["loop"].call_soon_threadsafe(at["stop"].set)
        thread.join()


def paramiko(kept: Kept) -> None:
    import paramiko

    key = paramiko.RSAKey.generate(2048)

    class Door(paramiko.ServerInterface):
        def check_auth_password(self, username: str, password: str) -> int:
            is_right = password == "right"
            return paramiko.AUTH_SUCCESSFUL if is_right else paramiko.AUTH_FAILED

        def check_channel_request(self, kind: str, chanid: int) -> int:
            return paramiko.OPEN_SUCCEEDED

        def check_channel_exec_request(self, channel: Any, command: bytes) -> bool:
            return b"a" in command

    def work() -> None:
        ours, theirs = socket.socketpair()
        server, client = paramiko.Transport(ours), paramiko.Transport(theirs)
        server.add_server_key(key)
        try:
            server.start_server(threading.Event(), Door())
            client.start_client(timeout=3)
            with suppress(Exception):
                client.auth_password(word(), chance.choice(["right", "wrong"]))
            for _ in range(chance.randint(1, 5)):
                with suppress(Exception):
                    channel = client.open_session(timeout=1)
                    channel.exec_command(word())
                    channel.close()
            with suppress(Exception):
                client.open_sftp_client()
            with suppress(Exception):
                client.open_channel("x11", src_addr=("10.0.0.1", 22), timeout=0.2)
        finally:
            client.close()
            server.close()

    until_full(kept, work, 30.0)


def aiosmtpd(kept: Kept) -> None:
    from aiosmtpd.controller import Controller
    from aiosmtpd.handlers import Sink

    door = Controller(Sink(), hostname="127.0.0.1", port=_free_port(), data_size_limit=500)
    door.start()

    def work() -> None:
        with smtplib.SMTP("127.0.0.1", door.port) as client:
            sender, receiver = f"{word()}@{word()}.org", f"{word()}@example.com"
            with suppress(Exception):
                client.sendmail(sender, [receiver], word() * chance.randint(1, 90))
            for command in (
                "VRFY " + word(),
                "NOOP",
                word(),
                "HELP",
                "RSET",
                "MAIL FROM:x",
                "AUTH",
            ):
                if chance.random() < 0.4:
                    client.docmd(command)

    try:
        until_full(kept, work)
    finally:
        door.stop()


def websockets(kept: Kept) -> None:
    from websockets.asyncio.client import connect
    from websockets.asyncio.server import serve

    async def echo(connection: Any) -> None:
        async for message in connection:
            if "z" in str(message):
                raise ValueError(message)
            await connection.send(message[::-1])

    async def talk() -> None:
        async with serve(echo, "127.0.0.1", 0, max_size=300, ping_interval=0.05) as server:
            port = server.sockets[0].getsockname()[1]
            while len(kept.lines) < LINES:
                with suppress(Exception):
                    async with connect(f"ws://127.0.0.1:{port}/{word()}") as connection:
                        for _ in range(3):
                            await connection.send(word() * chance.randint(1, 60))
                            await connection.recv()
                        await connection.send(os.urandom(9))
                        await connection.close(1000 + chance.randint(0, 11), word())
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET /" + word().encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n")
                await reader.read(50)
                writer.close()

    asyncio.run(asyncio.wait_for(talk(), 30))


def pyftpdlib(kept: Kept) -> None:
    import ftplib

    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler
    from pyftpdlib.servers import ThreadedFTPServer

    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "here.txt").write_text("x" * 5000)
        who = DummyAuthorizer()
        who.add_user("shop", "right", directory, perm="elradfmwMT")
        handler = type("Door", (FTPHandler,), {"authorizer": who, "auth_failed_timeout": 0.01})
        server = ThreadedFTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()

        def work() -> None:
            with ftplib.FTP() as client:
                client.connect("127.0.0.1", server.address[1], 2)
                with suppress(Exception):
                    client.login("shop", chance.choice(["right", "right", "wrong"]))
                for act in (
                    lambda: client.mkd(word()),
                    lambda: client.cwd(word()),
                    lambda: client.nlst(),
                    lambda: client.retrbinary("RETR here.txt", lambda _: None),
                    lambda: client.storbinary(f"STOR {word()}.csv", io.BytesIO(b"x" * 900)),
                    lambda: client.delete(f"{word()}.csv"),
                    lambda: client.rename("here.txt", "here.txt"),
                    lambda: client.sendcmd(f"{word()} {word()}"),
                    lambda: client.size("here.txt"),
                ):
                    if chance.random() < 0.5:
                        with suppress(Exception):
                            act()

        try:
            until_full(kept, work)
        finally:
            server.close_all()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
