"""Random secrets that we hand out and keep only as hashes."""

import base64
import hashlib
import hmac
import secrets
from typing import Final

KEY_PREFIX: Final = "sk_"


def new_api_key() -> tuple[str, str]:
    """A key's id and the key: `sk_<id>_<256 random bits>`."""
    key_id = secrets.token_hex(6)
    return key_id, f"{KEY_PREFIX}{key_id}_{secrets.token_urlsafe(32)}"


def key_id_of(credential: str) -> str:
    """The id that a key names."""
    return credential.removeprefix(KEY_PREFIX).partition("_")[0]


def new_refresh_token() -> str:
    """256 random bits behind `rt_`."""
    return f"rt_{secrets.token_urlsafe(32)}"


def new_salt() -> bytes:
    """256 random bits."""
    return secrets.token_bytes(32)


def refresh_token_after(token: str, salt: bytes) -> str:
    """The one that follows `token`: the same to who asks again, and unknown without both."""
    drawn = hmac.digest(salt, token.encode("utf-8", "surrogatepass"), "sha256")
    return f"rt_{base64.urlsafe_b64encode(drawn).decode().rstrip('=')}"


def hash_of(secret: str) -> bytes:
    """SHA-256: enough for secrets that nobody chose."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
