"""mTLS between services with real certificates."""

import datetime
import ipaddress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mesh.clients import open_channel
from mesh.health import Health
from mesh.serving import Drain, Server
from mesh.tls import channel_credentials, server_credentials
from tests.mesh.conftest import ECHO, Echo, method


class Authority:
    """A CA that signs certificates for 127.0.0.1."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test ca")])
        certificate = self._signed(self._name, self._key, is_ca=True)
        self.file = directory / "ca.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> SimpleNamespace:
        """A config that names a fresh certificate, its key and this CA."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        cert_file, key_file = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        signed = self._signed(subject, key, is_ca=False)
        cert_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return SimpleNamespace(
            tls_cert_file=cert_file, tls_key_file=key_file, tls_ca_file=self.file
        )

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_ca: bool
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .sign(self._key, hashes.SHA256())
        )


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
        interceptors=[],
        health=Health([ECHO], every_s=0.05),
        drain=Drain(),
        credentials=server_credentials(config),
    )
    Echo(unary={"Who": common_name}).add_to(server.grpc)
    return server, await server.start()


async def ask(
    port: int, credentials: grpc.ChannelCredentials | None, timeout_s: float = 5
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


async def _served_certificate(port: int, authority: Authority) -> str:
    import asyncio
    import ssl

    client = authority.issue("probe")
    context = ssl.create_default_context(cafile=str(authority.file))
    context.load_cert_chain(client.tls_cert_file, client.tls_key_file)
    context.set_alpn_protocols(["h2"])
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    raw = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return ssl.DER_cert_to_PEM_cert(raw)
