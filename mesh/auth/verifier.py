"""Telling a good token from any other."""

import time
from pathlib import Path
from typing import Any, Final

import jwt

from mesh.auth.identity import SERVICE_SCOPES, USER_ISSUER, Principal
from mesh.auth.keys import TrustedKey, TrustedKeys
from mesh.auth.tokens import ALGORITHM, AUDIENCE
from mesh.errors import Unauthenticated

_REMEMBERED: Final = 1024
_CLAIMS: Final = ["iss", "sub", "aud", "iat", "nbf", "exp", "jti"]


class TokenVerifier:
    """Verifies tokens against the trusted keys. An issuer may only sign with its own key."""

    def __init__(self, keys: TrustedKeys, *, leeway_s: float = 5.0) -> None:
        """`leeway_s` is how far the clocks of two machines may differ."""
        self._keys = keys
        self._leeway_s = leeway_s
        self._verified: dict[str, tuple[TrustedKey, Principal]] = {}

    @classmethod
    def from_file(cls, jwks_file: Path, *, leeway_s: float = 5.0) -> "TokenVerifier":
        """Trusts the keys of a JWKS file, now and after each change of it."""
        return cls(TrustedKeys(jwks_file), leeway_s=leeway_s)

    def verify(self, token: str) -> Principal:
        """The caller a token stands for.

        Raises:
            Unauthenticated: TOKEN_MISSING, TOKEN_EXPIRED, TOKEN_INVALID or ISSUER_UNKNOWN.
        """
        if not token:
            raise Unauthenticated("send a bearer token", reason="TOKEN_MISSING")
        return self._remembered(token) or self._checked(token)

    def _remembered(self, token: str) -> Principal | None:
        """A signature is checked once; that its key is trusted and its time is not over, always."""
        key, principal = self._verified.get(token, (None, None))
        if key is None or principal is None or self._keys.get(key.key_id) != key:
            return None
        if principal.expires_at_s <= time.time():
            raise expired()
        return principal

    def _checked(self, token: str) -> Principal:
        key = self._signer(token)
        principal = self._principal(self._claims(token, key))
        _check_reach(principal)
        if len(self._verified) >= _REMEMBERED:
            self._verified.clear()
        self._verified[token] = key, principal
        return principal

    def _principal(self, claims: dict[str, Any]) -> Principal:
        return Principal(
            subject=claims["sub"],
            scopes=frozenset(str(claims.get("scope", "")).split()),
            issuer=claims["iss"],
            expires_at_s=float(claims["exp"]) + self._leeway_s,
        )

    def _signer(self, token: str) -> TrustedKey:
        try:
            key_id = str(jwt.get_unverified_header(token).get("kid", ""))
        except jwt.InvalidTokenError as error:
            raise Unauthenticated("the token is not a JWT") from error
        key = self._keys.get(key_id)
        if key is None:
            raise Unauthenticated("no trusted key signed this token", reason="ISSUER_UNKNOWN")
        return key

    def _claims(self, token: str, key: TrustedKey) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                key.public,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=key.issuer,
                leeway=self._leeway_s,
                options={"require": _CLAIMS},
            )
        except jwt.ExpiredSignatureError as error:
            raise expired() from error
        except jwt.InvalidIssuerError as error:
            told = f"key {key.key_id!r} signs for {key.issuer!r} only"
            raise Unauthenticated(told, reason="ISSUER_UNKNOWN") from error
        except (jwt.InvalidTokenError, ValueError, TypeError) as error:
            raise Unauthenticated(f"the token is not valid: {error}") from error


def expired() -> Unauthenticated:
    """What the holder of an old token is told, at the open and during a stream alike."""
    return Unauthenticated(
        "the token has expired: call again with a new one", reason="TOKEN_EXPIRED"
    )


def _check_reach(principal: Principal) -> None:
    is_service = principal.subject.startswith("service:")
    if not is_service and principal.issuer == USER_ISSUER:
        return
    if principal.subject != f"service:{principal.issuer}":
        raise Unauthenticated(f"{principal.issuer!r} may not speak for {principal.subject!r}")
    if not principal.scopes <= SERVICE_SCOPES.get(principal.issuer, frozenset()):
        raise Unauthenticated(f"{principal.issuer!r} claims scopes a service may not have")
