"""Configuration from the environment."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Meta

from mesh import ports
from mesh.config import (
    SECRET,
    CommonConfig,
    ConfigError,
    Port,
    RedisUrl,
    describe,
    exports_traces,
    load,
    misspelt,
)

REQUIRED = {
    "SENSUS_POSTGRES_DSN": "postgresql://sensus:hunter2@db:5432/sensus",
    "SENSUS_REDIS_URL": "redis://:hunter3@cache:6379/0",
    "SENSUS_AUTH_JWKS_FILE": "/keys/jwks.json",
    "SENSUS_AUTH_KEY_FILE": "~/ingest.pem",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(CommonConfig):
    """A service's config."""

    redis_url: RedisUrl
    grpc_port: Annotated[Port, Meta(description="gRPC port")] = ports.INGEST
    shards: Annotated[int, Meta(ge=1, le=1024, description="Number of shards")] = 16
    origins: Annotated[tuple[str, ...], Meta(description="CORS origins")] = ()
    strict: Annotated[bool, Meta(description="Refuse doubtful input")] = True
    api_key: Annotated[str, Meta(description="Key of the LLM", extra=SECRET)] = ""


def test_defaults_and_required_values_are_read() -> None:
    config = load(Config, REQUIRED)
    assert config.postgres_dsn == REQUIRED["SENSUS_POSTGRES_DSN"]
    assert config.auth_jwks_file == Path("/keys/jwks.json")
    assert config.auth_key_file == Path.home() / "ingest.pem"
    assert (config.grpc_port, config.shards, config.tls_cert_file) == (50051, 16, None)


def test_values_are_converted() -> None:
    given = {
        "SENSUS_SHARDS": " 4 ",
        "SENSUS_STRICT": "false",
        "SENSUS_ORIGINS": "https://a, https://b",
        "SENSUS_TRACE_SAMPLE_RATIO": "1",
        "SENSUS_TLS_CERT_FILE": "/tls/cert.pem",
    }
    config = load(Config, REQUIRED | given)
    assert (config.shards, config.strict) == (4, False)
    assert config.origins == ("https://a", "https://b")
    assert config.trace_sample_ratio == 1.0
    assert config.tls_cert_file == Path("/tls/cert.pem")


def test_own_variable_of_a_service_wins_over_the_shared_one() -> None:
    given = {"SENSUS_INGEST_GRPC_PORT": "7001", "SENSUS_GRPC_PORT": "7000", "SENSUS_SHARDS": "2"}
    assert load(Config, REQUIRED | given, prefix="INGEST").grpc_port == 7001
    assert load(Config, REQUIRED | given, prefix="DETECTOR").grpc_port == 7000
    assert load(Config, REQUIRED | given, prefix="INGEST").shards == 2


def test_empty_variable_counts_as_unset() -> None:
    assert load(Config, REQUIRED | {"SENSUS_SHARDS": ""}).shards == 16


def test_missing_variable_is_named_with_its_meaning() -> None:
    given = {k: v for k, v in REQUIRED.items() if k != "SENSUS_REDIS_URL"}
    with pytest.raises(ConfigError, match=r"^SENSUS_REDIS_URL is not set: Redis, redis://"):
        load(Config, given)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("SENSUS_SHARDS", "0", "Expected `int` >= 1"),
        ("SENSUS_SHARDS", "many", "Expected `int`"),
        ("SENSUS_GRPC_PORT", "70000", "<= 65535"),
        ("SENSUS_LOG_FORMAT", "xml", "Invalid enum value 'xml'"),
        ("SENSUS_STRICT", "perhaps", "Expected `bool`"),
    ],
)
def test_bad_value_is_refused_with_its_variable(variable: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(Config, REQUIRED | {variable: value})
    assert str(caught.value).startswith(f"{variable}: {value!r} does not fit: ")
    assert message in str(caught.value)


def test_prefixed_variable_is_the_one_that_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^SENSUS_INGEST_SHARDS: "):
        load(Config, REQUIRED | {"SENSUS_INGEST_SHARDS": "0"}, prefix="INGEST")


def test_description_hides_secrets_and_passwords() -> None:
    shown = describe(load(Config, REQUIRED | {"SENSUS_API_KEY": "sk-1234"}))
    assert shown["postgres_dsn"] == "postgresql://sensus:***@db:5432/sensus"
    assert shown["redis_url"] == "redis://:***@cache:6379/0"
    assert shown["api_key"] == "***"
    assert not any(secret in str(shown) for secret in ("hunter", "sk-1234"))


@pytest.mark.parametrize(
    "dsn",
    [
        "host=db password=hunter2 user=x",
        "host=db password='hunter2 hunter2' user=x",
        "postgresql://db/sensus?user=x&password=hunter2",
    ],
)
def test_password_is_hidden_in_every_form_of_dsn(dsn: str) -> None:
    assert "hunter2" not in str(describe(load(Config, REQUIRED | {"SENSUS_POSTGRES_DSN": dsn})))


def test_password_is_hidden_in_each_part_of_a_list() -> None:
    config = load(Config, REQUIRED | {"SENSUS_ORIGINS": "https://a,https://me:hunter2@b"})
    assert describe(config)["origins"] == ("https://a", "https://me:***@b")


def test_secret_is_not_shown_in_an_error() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Secretive:
        pin: Annotated[int, Meta(description="PIN", extra=SECRET)]

    with pytest.raises(ConfigError, match=r"^SENSUS_PIN: its value does not fit") as caught:
        load(Secretive, {"SENSUS_PIN": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_every_common_field_says_what_it_means() -> None:
    from typing import get_type_hints

    for name, hint in get_type_hints(CommonConfig, include_extras=True).items():
        assert any(getattr(note, "description", None) for note in hint.__metadata__), name


def test_traces_are_exported_when_a_collector_is_named() -> None:
    assert not exports_traces({})
    assert exports_traces({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"})
    assert exports_traces({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4317"})


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("SENSUS_REDIS_ULR", "SENSUS_REDIS_URL"),
        ("SENSUS_GRPC_PROT", "SENSUS_GRPC_PORT"),
        ("SENSUS_INGEST_SHARD", "SENSUS_INGEST_SHARDS"),
    ],
)
def test_misspelt_variable_is_named_with_the_nearest_setting(variable: str, nearest: str) -> None:
    assert misspelt(Config, REQUIRED | {variable: "1"}, prefix="INGEST") == {variable: nearest}


@pytest.mark.parametrize(
    "variable",
    ["SENSUS_INGEST_TARGET", "SENSUS_GATEWAY_RATE_OTHER", "SENSUS_SERVICE", "OTEL_SERVICE_NAME"],
)
def test_variable_of_another_service_is_not_called_misspelt(variable: str) -> None:
    assert misspelt(Config, REQUIRED | {variable: "1"}, prefix="INGEST") == {}
