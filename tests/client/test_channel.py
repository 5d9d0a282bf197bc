"""A channel that is encrypted, and a token that is read when it is needed."""

from pathlib import Path

import grpc
import pytest

from mesh.tls import server_credentials
from sensus_client import RefusedError, Sample, Tls, UnavailableError, connect, open_sender
from tests.certificates import Authority
from tests.client.scripted_ingest import (
    Requests,
    Responses,
    ScriptedIngest,
    listening,
    opened,
    well,
)

SAMPLE = Sample.of({"__name__": "sent"}, 1.0, timestamp_ms=1)


async def wants_the_token(
    ingest: ScriptedIngest, requests: Requests, context: grpc.aio.ServicerContext
) -> Responses:
    if ("authorization", "Bearer second") not in context.invocation_metadata():
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "another token")
    yield opened(1)
    async for request in requests:
        if ack := ingest.store(request):
            yield ack


async def test_mutual_tls_lets_in_who_has_a_certificate_of_the_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server, own = authority.issue("server"), authority.issue("client")
    tls = Tls(ca_file=own.tls_ca_file, cert_file=own.tls_cert_file, key_file=own.tls_key_file)
    ingest = ScriptedIngest(well)
    async with listening(ingest, server_credentials(server)) as target:
        async with connect(target, tls=tls) as channel, open_sender(channel, "test") as sender:
            await sender.send([SAMPLE])
        assert ingest.values_by_sequence == {1: [1.0]}
        async with connect(target, tls=Tls(ca_file=own.tls_ca_file)) as channel:
            with pytest.raises(UnavailableError):
                async with open_sender(channel, "test", patience_s=0) as sender:
                    await sender.send([SAMPLE])


async def test_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="set cert_file and key_file together"):
        async with connect("127.0.0.1:1", tls=Tls(cert_file=tmp_path / "cert.pem")):
            pass


async def test_token_is_read_for_each_stream_and_may_be_missing_for_a_while(
    tmp_path: Path,
) -> None:
    file = tmp_path / "token"
    ingest = ScriptedIngest(wants_the_token)
    async with listening(ingest) as target, connect(target, token=file.read_text) as channel:
        with pytest.raises(UnavailableError, match=r"the token cannot be read: .*No such file"):
            async with open_sender(channel, "test", patience_s=0) as sender:
                await sender.send([SAMPLE])
        file.write_text("first")
        with pytest.raises(RefusedError, match="another token"):
            async with open_sender(channel, "test") as sender:
                await sender.send([SAMPLE])
        file.write_text("second")
        async with open_sender(channel, "test") as sender:
            await sender.send([SAMPLE])
    assert ingest.values_by_sequence == {1: [1.0]}
