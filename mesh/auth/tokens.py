"""Minting tokens: JWT, EdDSA, short-lived, signed with a service's private key."""

import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.auth.identity import SERVICE_SCOPES
from mesh.auth.keys import read_private_key

AUDIENCE: Final = "sensus"
ALGORITHM: Final = "EdDSA"
SERVICE_TTL_S: Final = 3600.0
"""A stream ends with its token, so a service's own token lasts an hour."""
LONGEST_S: Final = 366 * 86_400
"""What claims to live longer is not taken: standing is kept for the time that tokens can have."""


class TokenMinter:
    """Signs tokens in the name of one service."""

    def __init__(self, key: Ed25519PrivateKey, issuer: str, *, key_id: str = "") -> None:
        """`key_id` is the key's id in the JWKS, `<issuer>-1` when not given."""
        self._key = key
        self._issuer = issuer
        self._key_id = key_id or f"{issuer}-1"
        self._own = ""
        self._renew_at_s = 0.0

    @classmethod
    def from_file(cls, key_file: Path, issuer: str) -> "TokenMinter":
        """Reads the private key of `issuer`."""
        return cls(read_private_key(key_file), issuer)

    def mint(
        self,
        subject: str,
        scopes: Iterable[str],
        ttl_s: float,
        *,
        epoch_us: int | None = None,
        session: str = "",
    ) -> str:
        """Signs a token for `subject` that is good for `ttl_s` from now, cut to whole seconds.

        Cost: 80 µs, so a token that can serve many calls is kept.

        Args:
            subject: `user:<name>`, `key:<id>` or `service:<name>`.
            scopes: What it allows.
            ttl_s: Its life.
            epoch_us: The state of the subject that it knows; now when not given.
            session: The log-in that it belongs to; a log-out ends all of its tokens.
        """
        now_s = time.time()
        claims = {
            "iss": self._issuer,
            "sub": subject,
            "aud": AUDIENCE,
            "scope": " ".join(sorted(scopes)),
            "iat": int(now_s),
            "nbf": int(now_s),
            "exp": int(now_s + ttl_s),
            "jti": secrets.token_hex(8),
            "epoch": int(now_s * 1e6) if epoch_us is None else epoch_us,
        }
        if session:
            claims["sid"] = session
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers={"kid": self._key_id})

    def service_token(self) -> str:
        """A token of the service itself; the same one until half its life is over."""
        now_s = time.monotonic()
        if not self._own or now_s >= self._renew_at_s:
            scopes = SERVICE_SCOPES.get(self._issuer, frozenset())
            self._own = self.mint(f"service:{self._issuer}", scopes, SERVICE_TTL_S)
            self._renew_at_s = now_s + SERVICE_TTL_S / 2
        return self._own
