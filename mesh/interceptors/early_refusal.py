"""Who may not call is refused before its message is read."""

from collections.abc import Mapping

from mesh.auth import Policy, TokenVerifier
from mesh.errors import SensusError
from mesh.interceptors.auth import Metadata, bearer_token


class EarlyRefusal:
    """Tells a unary request whose token is worth nothing without receiving its message.

    grpcio receives and decodes the message of a unary request before any handler runs: without this
    a stranger could make a server hold as many messages of the largest size as it has streams.
    """

    def __init__(self, verifier: TokenVerifier, policies: Mapping[str, Policy]) -> None:
        """The same as of `Authentication`, which has the last word."""
        self._verifier = verifier
        self._policies = policies

    def refusal(self, method: str, metadata: Metadata) -> SensusError | None:
        """Why a call is refused; None for one that may be read, or whose policy is not known."""
        policy = self._policies.get(method)
        if policy is None or policy.public:
            return None
        try:
            policy.check(self._verifier.verify(bearer_token(metadata)))
        except SensusError as error:
            return error
        return None
