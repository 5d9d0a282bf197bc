"""Identity: what is not allowed is denied, over a real connection."""

import asyncio
import json
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

from mesh import errors
from mesh.auth import (
    PUBLIC,
    SERVICE_SCOPES,
    Policy,
    TokenMinter,
    TokenVerifier,
    current_principal,
    generate_key_files,
    policies,
)
from mesh.auth.keys import read_private_key
from mesh.config import ConfigError
from sensus.ingest.v1 import ingest_service_pb2
from tests.mesh.conftest import READ, Echo, method

Minter = Callable[[str], TokenMinter]


async def whoami(request: bytes, context: Any) -> bytes:
    principal = current_principal()
    return f"{principal.subject} {' '.join(sorted(principal.scopes))}".encode()


@pytest.fixture
async def running(serve: Any) -> Any:
    """A method for `read:stream`, a public one, and one without a policy."""
    echo = Echo(unary={"Read": whoami, "Public": whoami, "Forgotten": whoami})
    return await serve(echo, policies={method("Read"): READ, method("Public"): PUBLIC})


async def refusal(channel: Any, name: str = "Read") -> errors.SensusError:
    """What the server says to a call with the channel's token."""
    with pytest.raises(errors.SensusError) as caught, errors.translated():
        await channel.unary_unary(method(name))(b"")
    return caught.value


async def test_service_acts_under_its_own_name(running: Any, connect: Any) -> None:
    channel = await connect(running)
    answer = await channel.unary_unary(method("Read"))(b"")
    assert answer == b"service:detector read:samples read:standing read:stream write:audit"


async def test_gateway_speaks_for_a_user(running: Any, connect: Any, minter: Minter) -> None:
    token = minter("gateway").mint("user:ann", ["read:stream"], 60)
    channel = await connect(running, tokens=lambda: token)
    assert await channel.unary_unary(method("Read"))(b"") == b"user:ann read:stream"


async def test_admin_passes_every_policy(running: Any, connect: Any, minter: Minter) -> None:
    token = minter("gateway").mint("user:root", ["admin"], 60)
    channel = await connect(running, tokens=lambda: token)
    assert await channel.unary_unary(method("Read"))(b"") == b"user:root admin"


async def test_method_without_policy_is_denied_even_to_admin(
    running: Any, connect: Any, minter: Minter
) -> None:
    token = minter("gateway").mint("user:root", ["admin"], 60)
    refused = await refusal(await connect(running, tokens=lambda: token), "Forgotten")
    assert isinstance(refused, errors.PermissionDenied)
    assert refused.reason == "POLICY_MISSING"


async def test_missing_scope_is_named(running: Any, connect: Any, minter: Minter) -> None:
    token = minter("gateway").mint("user:bob", ["read:alerts"], 60)
    refused = await refusal(await connect(running, tokens=lambda: token))
    assert isinstance(refused, errors.PermissionDenied)
    assert (refused.reason, refused.metadata) == ("SCOPE_MISSING", {"any_of": "read:stream"})


async def test_public_method_needs_no_token(running: Any, connect: Any) -> None:
    refused = await refusal(await connect(running, tokens=None), "Public")
    assert refused.reason == "TOKEN_MISSING", "it is the handler that asks who calls"


async def test_missing_token_is_unauthenticated(running: Any, connect: Any) -> None:
    refused = await refusal(await connect(running, tokens=None))
    assert (type(refused), refused.reason) == (errors.Unauthenticated, "TOKEN_MISSING")


def bad_tokens(minter: Minter, directory: Path) -> dict[str, tuple[str, str]]:
    """Token and reason by the name of what is wrong with it."""
    generate_key_files(directory, ["gateway", "detector", "intruder"])
    stranger = read_private_key(directory / "gateway.pem")
    detector, gateway = minter("detector"), minter("gateway")
    user = ("user:ann", ["read:stream"])
    own = "service:detector"
    good = gateway.mint(*user, 60)
    head, body, signature = good.split(".")
    return {
        "expired": (gateway.mint(*user, -1), "TOKEN_EXPIRED"),
        "foreign key": (TokenMinter(stranger, "gateway").mint(*user, 60), "TOKEN_INVALID"),
        "unknown key": (TokenMinter(stranger, "intruder").mint(*user, 60), "ISSUER_UNKNOWN"),
        "no key": (TokenMinter(stranger, "").mint(*user, 60), "ISSUER_UNKNOWN"),
        "other issuer": (
            TokenMinter(read_private_key(directory / "detector.pem"), "gateway").mint(*user, 60),
            "TOKEN_INVALID",
        ),
        "service for a user": (detector.mint(*user, 60), "TOKEN_INVALID"),
        "service for another": (detector.mint("service:explainer", [], 60), "TOKEN_INVALID"),
        "wider scopes": (detector.mint(own, ["read:stream", "admin"], 60), "TOKEN_INVALID"),
        "gateway as service": (gateway.mint("service:gateway", ["admin"], 60), "TOKEN_INVALID"),
        "gateway as another": (gateway.mint(own, ["read:stream"], 60), "TOKEN_INVALID"),
        "a life of ten years": (gateway.mint(*user, 10 * 366 * 86_400), "TOKEN_INVALID"),
        "for ever": (gateway.mint(*user, 1e300), "TOKEN_INVALID"),
        "nobody's subject": (gateway.mint("ann", [], 60), "TOKEN_INVALID"),
        "a subject of two lines": (gateway.mint("user:a\nb", [], 60), "TOKEN_INVALID"),
        "a long subject": (gateway.mint(f"user:{'a' * 129}", [], 60), "TOKEN_INVALID"),
        "a long session": (gateway.mint(*user, 60, session="s" * 129), "TOKEN_INVALID"),
        "not a token": ("abc", "TOKEN_INVALID"),
        "cut": (f"{head}.{body}.{signature[:-4]}AAAA", "TOKEN_INVALID"),
        "unsigned": (jwt.encode({"sub": "user:ann"}, "", "none"), "ISSUER_UNKNOWN"),
        "secret as key": (hmac_token(), "TOKEN_INVALID"),
    }


def hmac_token() -> str:
    """The classic confusion: a shared-secret algorithm where a public key is expected."""
    claims = {"iss": "gateway", "sub": "user:ann", "aud": "sensus", "scope": "admin"}
    times = {"iat": 0, "nbf": 0, "exp": time.time() + 60, "jti": "x"}
    return jwt.encode(claims | times, "k" * 64, "HS256", headers={"kid": "gateway-1"})


async def test_token_is_never_logged(
    running: Any, connect: Any, minter: Minter, caplog: pytest.LogCaptureFixture
) -> None:
    token = minter("gateway").mint("user:bob", [], 60)
    with caplog.at_level("DEBUG"):
        await refusal(await connect(running, tokens=lambda: token))
        async with asyncio.timeout(60):  # the server logs a call after it has answered
            while not any(  # noqa: ASYNC110
                "PERMISSION_DENIED" in str(each.__dict__) for each in caplog.records
            ):
                await asyncio.sleep(0.01)
    said = [str(record.__dict__) for record in caplog.records]
    assert not any(token[-20:] in each for each in said)


async def test_bad_tokens_are_unauthenticated_with_the_reason(
    running: Any, connect: Any, minter: Minter, tmp_path: Path
) -> None:
    for name, (token, reason) in bad_tokens(minter, tmp_path).items():
        refused = await refusal(await connect(running, tokens=lambda token=token: token))
        assert (type(refused), refused.reason) == (errors.Unauthenticated, reason), name


def test_key_signs_only_for_its_own_issuer(keys: Path, verifier: TokenVerifier) -> None:
    forged = TokenMinter(read_private_key(keys / "detector.pem"), "gateway", key_id="detector-1")
    with pytest.raises(errors.Unauthenticated) as caught:
        verifier.verify(forged.mint("user:ann", ["admin"], 60))
    assert caught.value.reason == "ISSUER_UNKNOWN"


def test_service_token_has_exactly_the_scopes_of_the_service(
    minter: Minter, verifier: TokenVerifier
) -> None:
    for service in ("detector", "explainer", "gateway", "ingest"):
        principal = verifier.verify(minter(service).service_token())
        assert principal.subject == f"service:{service}"
        assert principal.scopes == SERVICE_SCOPES[service]


def test_service_token_is_cached(minter: Minter) -> None:
    detector = minter("detector")
    assert detector.service_token() == detector.service_token()


def test_trusted_keys_follow_their_file(tmp_path: Path) -> None:
    jwks = generate_key_files(tmp_path, ["gateway"])
    verifier = TokenVerifier.from_file(jwks)
    generate_key_files(tmp_path, ["gateway", "detector"])
    minted = TokenMinter.from_file(tmp_path / "detector.pem", "detector").service_token()
    assert verifier.verify(minted).subject == "service:detector"
    jwks.write_text("{")
    assert verifier.verify(minted).subject == "service:detector", (
        "an unreadable file changes nothing"
    )


def test_key_that_is_withdrawn_is_trusted_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.auth.keys._LOOK_EVERY_S", 0.0)
    jwks = generate_key_files(tmp_path, ["gateway", "detector"])
    verifier = TokenVerifier.from_file(jwks)
    minted = TokenMinter.from_file(tmp_path / "detector.pem", "detector").service_token()
    verifier.verify(minted)
    generate_key_files(tmp_path, ["gateway"])
    with pytest.raises(errors.Unauthenticated) as caught:
        verifier.verify(minted)
    assert caught.value.reason == "ISSUER_UNKNOWN"


def test_token_that_was_good_expires(
    minter: Minter, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier = TokenVerifier.from_file(keys / "jwks.json", leeway_s=0.0)
    token = minter("gateway").mint("user:ann", [], 60)
    verifier.verify(token)
    expired_s = time.time() + 60
    monkeypatch.setattr(time, "time", lambda: expired_s)
    with pytest.raises(errors.Unauthenticated) as caught:
        verifier.verify(token)
    assert caught.value.reason == "TOKEN_EXPIRED"


@pytest.mark.parametrize("ahead_s", [-240, 240])
def test_clocks_of_two_machines_may_differ_by_minutes(
    minter: Minter, keys: Path, monkeypatch: pytest.MonkeyPatch, ahead_s: int
) -> None:
    signer, now_s = minter("gateway"), time.time()
    monkeypatch.setattr(time, "time", lambda: now_s + ahead_s)
    token = signer.mint("user:ann", [], 600)
    monkeypatch.setattr(time, "time", lambda: now_s)
    verifier = TokenVerifier.from_file(keys / "jwks.json")
    assert verifier.verify(token).subject == "user:ann"


def test_a_token_of_the_future_is_refused(
    minter: Minter, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer, now_s = minter("gateway"), time.time()
    monkeypatch.setattr(time, "time", lambda: now_s + 310)
    token = signer.mint("user:ann", [], 600)
    monkeypatch.setattr(time, "time", lambda: now_s)
    with pytest.raises(errors.Unauthenticated, match="set the clock") as caught:
        TokenVerifier.from_file(keys / "jwks.json").verify(token)
    assert caught.value.reason == "TOKEN_INVALID"


@pytest.mark.parametrize("content", [None, "nonsense", "{}", '{"keys": [{"kid": "a-1"}]}'])
def test_unusable_key_files_name_their_variable(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=r"^SENSUS_AUTH_JWKS_FILE: "):
        TokenVerifier.from_file(file)
    with pytest.raises(ConfigError, match=r"^SENSUS_AUTH_KEY_FILE: "):
        TokenMinter.from_file(file, "ingest")


def test_private_keys_are_for_the_owner_only_and_are_kept(tmp_path: Path) -> None:
    generate_key_files(tmp_path, ["ingest"])
    first = (tmp_path / "ingest.pem").read_bytes()
    generate_key_files(tmp_path, ["ingest", "gateway"])
    assert (tmp_path / "ingest.pem").read_bytes() == first
    assert stat.S_IMODE((tmp_path / "ingest.pem").stat().st_mode) == 0o600
    kids = [key["kid"] for key in json.loads((tmp_path / "jwks.json").read_text())["keys"]]
    assert kids == ["ingest-1", "gateway-1"]


def test_policies_come_from_the_descriptors() -> None:
    found = policies([ingest_service_pb2.DESCRIPTOR])
    assert found["/sensus.ingest.v1.IngestService/WriteSamples"] == Policy(
        any_of=frozenset({"write:samples"})
    )
    service = ingest_service_pb2.DESCRIPTOR.services_by_name["IngestService"]
    assert set(found) == {f"/{service.full_name}/{each.name}" for each in service.methods}
