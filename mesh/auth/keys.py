"""Ed25519 keys: a private PEM file per service, one public JWKS file for all."""

import asyncio
import base64
import json
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from mesh.config import ConfigError
from mesh.files import state_of

JWKS_NAME: Final = "jwks.json"

_LOOK_EVERY_S: Final = 1.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key and the only issuer that may use it."""

    key_id: str
    issuer: str
    public: Ed25519PublicKey


class TrustedKeys:
    """The keys of a JWKS file, read again when it changes; an unreadable one changes nothing."""

    def __init__(self, path: Path) -> None:
        """Reads the file at once, so that a bad one is noticed at start."""
        self._path = path
        self._key_by_id = read_trusted_keys(path)
        self._state: tuple[int, ...] = ()
        self._next_look_s = 0.0

    def get(self, key_id: str) -> TrustedKey | None:
        """The key of that id, if it is trusted now.

        Looks at the file once a second at most, whatever ids are asked for, and in a thread when an
        event loop runs: a new key is trusted a second after it was written.
        """
        now_s = time.monotonic()
        if now_s >= self._next_look_s:
            self._next_look_s = now_s + _LOOK_EVERY_S
            self._look_aside()
        return self._key_by_id.get(key_id)

    def _look_aside(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._look()
        else:
            loop.run_in_executor(None, self._look)

    def _look(self) -> None:
        try:
            state = state_of(self._path)
            if state != self._state:
                self._key_by_id = read_trusted_keys(self._path)
                self._state = state
        except (OSError, ConfigError):
            logger.exception("the trusted keys stay as they were", extra={"path": str(self._path)})


def generate_key_files(directory: Path, services: Sequence[str]) -> Path:
    """Makes `<service>.pem` (mode 0600) for each service and `jwks.json`; keeps keys that exist.

    Returns:
        The path of the JWKS file.
    """
    directory.mkdir(parents=True, exist_ok=True)
    keys = {service: _kept_or_new(directory / f"{service}.pem") for service in services}
    document = {"keys": [_jwk(f"{name}-1", key.public_key()) for name, key in keys.items()]}
    path = directory / JWKS_NAME
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(document, indent=2) + "\n")
    fresh.replace(path)
    return path


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """Reads a PEM file.

    Raises:
        ConfigError: The file cannot be read or holds no Ed25519 private key.
    """
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"SENSUS_AUTH_KEY_FILE: {path} holds no private key: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"SENSUS_AUTH_KEY_FILE: the key in {path} is not Ed25519")
    return key


def read_trusted_keys(path: Path) -> dict[str, TrustedKey]:
    """Reads a JWKS file into keys by their id; `gateway-1` belongs to the issuer `gateway`.

    Raises:
        ConfigError: The file cannot be read or is not a JWKS of Ed25519 keys.
    """
    try:
        entries = json.loads(path.read_text())["keys"]
        return {entry["kid"]: _trusted(entry) for entry in entries}
    except (OSError, KeyError, TypeError, ValueError) as error:
        message = f"SENSUS_AUTH_JWKS_FILE: {path} is not a JWKS of Ed25519 keys: {error!r}"
        raise ConfigError(message) from error


def issuer_of(key_id: str) -> str:
    """The issuer a key id belongs to: everything before its last dash."""
    return key_id.rpartition("-")[0]


def _trusted(entry: dict[str, str]) -> TrustedKey:
    if (entry["kty"], entry["crv"]) != ("OKP", "Ed25519"):
        raise ValueError(f"key {entry['kid']!r} is not Ed25519")
    padded = entry["x"] + "=" * (-len(entry["x"]) % 4)
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(padded))
    return TrustedKey(entry["kid"], issuer_of(entry["kid"]), public)


def _jwk(key_id: str, key: Ed25519PublicKey) -> dict[str, str]:
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key_id, "x": x}


def _kept_or_new(path: Path) -> Ed25519PrivateKey:
    if path.exists():
        return read_private_key(path)
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    return key
