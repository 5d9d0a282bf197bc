"""mTLS between services with real certificates."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from mesh.clients import open_channel
from mesh.config import ConfigError
from mesh.health import Health
from mesh.interceptors import Layers
from mesh.serving import Drain, Server
from mesh.tls import channel_credentials, server_credentials
from tests.certificates import Authority
from tests.mesh.conftest import ECHO, Echo, method


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def common_name(request: bytes, context: Any) -> bytes:
    return bytes(next(iter(context.auth_context()["x509_common_name"])))


async def secured(config: SimpleNamespace) -> tuple[Server, int]:
    server = Server(
        service="echo",
        host="127.0.0.1",
        port=0,
        interceptors=Layers([]),
        health=Health([ECHO], every_s=0.05),
        drain=Drain(),
        tls=config,
    )
    Echo(unary={"Who": common_name}).add_to(server.grpc)
    return server, await server.start()


async def ask(
    port: int, credentials: grpc.ChannelCredentials | None, timeout_s: float = 60
) -> bytes:
    async with open_channel(
        f"127.0.0.1:{port}", service=ECHO, tokens=None, caller="test", credentials=credentials
    ) as channel:
        who: Any = channel.unary_unary(method("Who"))
        return bytes(await who(b"", timeout=timeout_s, wait_for_ready=timeout_s > 2))


async def test_both_sides_prove_themselves(authority: Authority) -> None:
    server, port = await secured(authority.issue("ingest"))
    try:
        credentials = channel_credentials(authority.issue("detector"))
        assert await ask(port, credentials) == b"detector"
    finally:
        await server.stop(0, 0)


async def test_stranger_and_plain_text_get_nowhere(authority: Authority, tmp_path: Path) -> None:
    server, port = await secured(authority.issue("ingest"))
    try:
        (tmp_path / "other").mkdir()
        stranger = Authority(tmp_path / "other").issue("detector")
        stranger.tls_ca_file = authority.file
        for credentials in (channel_credentials(stranger), None):
            with pytest.raises(grpc.aio.AioRpcError):
                await ask(port, credentials, timeout_s=2)
    finally:
        await server.stop(0, 0)


async def test_renewed_certificate_is_served_without_a_restart(authority: Authority) -> None:
    import ssl

    server, port = await secured(authority.issue("ingest"))
    try:
        before = ssl.PEM_cert_to_DER_cert(await _served_certificate(port, authority))
        authority.issue("ingest")
        after = ssl.PEM_cert_to_DER_cert(await _served_certificate(port, authority))
        assert before != after
    finally:
        await server.stop(0, 0)


def test_without_files_there_is_no_tls() -> None:
    nothing = SimpleNamespace(tls_cert_file=None, tls_key_file=None, tls_ca_file=None)
    assert server_credentials(nothing) is None
    assert channel_credentials(nothing) is None


@pytest.mark.parametrize("missing", ["tls_cert_file", "tls_key_file", "tls_ca_file"])
async def test_half_of_the_files_is_refused_by_the_name_of_the_other_half(
    authority: Authority, missing: str
) -> None:
    config = authority.issue("ingest")
    setattr(config, missing, None)
    for credentials in (server_credentials, channel_credentials):
        with pytest.raises(ConfigError, match=f"SENSUS_{missing.upper()} not set beside SENSUS_"):
            credentials(config)
    with pytest.raises(ConfigError, match="set all three for mTLS, or none"):
        await secured(config)


def test_file_that_is_not_there_is_named(authority: Authority, tmp_path: Path) -> None:
    config = authority.issue("ingest")
    config.tls_key_file = tmp_path / "nowhere.key"
    with pytest.raises(ConfigError, match=r"nowhere\.key cannot be read: No such file"):
        server_credentials(config)


async def test_process_calls_its_own_port_over_tls(authority: Authority) -> None:
    server, _ = await secured(authority.issue("ingest"))
    call = server.own_call()
    try:
        for _ in range(3):
            await asyncio.to_thread(call.listening, 60)
            await asyncio.to_thread(call.ask, 60)
    finally:
        call.close()
        await server.stop(0, 0)


async def _served_certificate(port: int, authority: Authority) -> str:
    import ssl

    client = authority.issue("probe")
    context = ssl.create_default_context(cafile=str(authority.file))
    context.load_cert_chain(client.tls_cert_file, client.tls_key_file)
    context.set_alpn_protocols(["h2"])
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    raw = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return ssl.DER_cert_to_PEM_cert(raw)
