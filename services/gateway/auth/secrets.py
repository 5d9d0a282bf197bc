"""Random secrets that we hand out and keep only as hashes."""

import hashlib
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


def hash_of(secret: str) -> bytes:
    """SHA-256: enough for secrets that nobody chose."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
