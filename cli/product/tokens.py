"""Tokens minted with the key of the data directory, for commands on the same machine."""

from collections.abc import Sequence

from cli.problem import Problem
from cli.product.directory import DataDirectory
from mesh import otlp
from mesh.auth import ADMIN, LOGIN_LINK, TokenMinter, policies
from sensus.detector.v1 import detector_service_pb2
from sensus.explainer.v1 import explainer_service_pb2
from sensus.incidents.v1 import incidents_service_pb2
from sensus.ingest.v1 import ingest_service_pb2
from sensus.notifier.v1 import notifier_service_pb2
from sensus.topology.v1 import topology_service_pb2

_COMMAND_TTL_S = 24 * 3600
_LINK_TTL_S = 600
_CONTRACT = (
    ingest_service_pb2,
    detector_service_pb2,
    explainer_service_pb2,
    incidents_service_pb2,
    notifier_service_pb2,
    topology_service_pb2,
)


def known_scopes() -> list[str]:
    """Every scope that some method asks for, and `admin`, which is all of them."""
    asked = policies(module.DESCRIPTOR for module in _CONTRACT).values()
    of_otlp = (signal.policy for signal in otlp.SIGNALS)
    return sorted({ADMIN}.union(*(policy.any_of for policy in (*asked, *of_otlp))))


def check_scopes(scopes: Sequence[str]) -> None:
    """Refuses a scope that no method asks for: it would be worth nothing.

    Raises:
        Problem: Names the scope and those that there are.
    """
    for scope in scopes:
        if scope not in known_scopes():
            raise Problem(f"--scope {scope}: must be one of {', '.join(known_scopes())}")


def login_link(directory: DataDirectory, gateway_url: str, user: str = "admin") -> str:
    """An address of the console that logs `user` in once, within ten minutes.

    The token is in the fragment, which browsers send to nobody.
    """
    token = user_token(directory, user, scopes=[LOGIN_LINK], ttl_s=_LINK_TTL_S)
    return f"{gateway_url}/login#link={token}"


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
