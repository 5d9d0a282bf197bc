"""Tokens minted with the key of the data directory, for commands on the same machine."""

from collections.abc import Sequence

from cli.directory import DataDirectory
from cli.problem import Problem
from mesh.auth import TokenMinter

_COMMAND_TTL_S = 24 * 3600


def user_token(
    directory: DataDirectory,
    user: str = "admin",
    *,
    scopes: Sequence[str] = ("admin",),
    ttl_s: float = _COMMAND_TTL_S,
) -> str:
    """A token of `user`, as the gateway would give it; Problem when there is no key."""
    key_file = directory.keys / "gateway.pem"
    if not key_file.exists():
        raise Problem(
            f"there is no key {key_file}; start the product once with `sensus up`, "
            "or name its directory with --data-dir"
        )
    return TokenMinter.from_file(key_file, "gateway").mint(f"user:{user}", scopes, ttl_s)
