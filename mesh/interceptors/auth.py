"""Who calls, and may they? Without a policy nobody may."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, nullcontext
from typing import TypeAlias

from mesh import wire
from mesh.auth import Policy, Principal, TokenVerifier, expired, set_principal
from mesh.auth.standing import Standings
from mesh.errors import PermissionDenied, SensusError
from mesh.interceptors.around import Context, Handler, around, is_infrastructure

Metadata: TypeAlias = Iterable[tuple[str, str | bytes]]


class Authentication:
    """Checks the token against the policy of the method and the standing of its subject.

    Streams end with their token, or when the subject loses its standing.
    """

    def __init__(
        self,
        verifier: TokenVerifier,
        policies: Mapping[str, Policy],
        standings: Standings | None = None,
    ) -> None:
        """`policies` by full method; a method that is not in it is denied to everyone.

        Without `standings` a token holds until it expires.
        """
        self._verifier = verifier
        self._policies = policies
        self._standings = standings

    def wrap(self, method: str, handler: Handler) -> Handler:
        """Puts the check in front of a handler."""
        if is_infrastructure(method):
            return handler
        is_stream = handler.request_streaming or handler.response_streaming

        @asynccontextmanager
        async def scope(context: Context) -> AsyncIterator[Context]:
            principal = self._admit(method, context)
            if principal is None or not is_stream:
                yield context
                return
            async with _no_longer_than(principal, self._standings):
                yield context

        return around(handler, scope)

    def _admit(self, method: str, context: Context) -> Principal | None:
        policy = self._policies.get(method)
        if policy is None:
            raise PermissionDenied(f"{method} has no policy", reason="POLICY_MISSING")
        if policy.public:
            return None
        principal = self._verifier.verify(bearer_token(context.invocation_metadata() or ()))
        if self._standings is not None:
            principal = self._standings.check(principal)
        policy.check(principal)
        set_principal(principal)
        return principal


def bearer_token(metadata: Metadata) -> str:
    """The token of a call, empty when it carries none."""
    for key, value in metadata:
        scheme, _, token = str(value).partition(" ")
        if key == wire.AUTHORIZATION and scheme.lower() == "bearer":
            return token.strip()
    return ""


@asynccontextmanager
async def _no_longer_than(principal: Principal, standings: Standings | None) -> AsyncIterator[None]:
    reason: SensusError | None = None
    limit = asyncio.timeout(principal.expires_at_s - time.time())

    def end(error: SensusError) -> None:
        nonlocal reason
        if reason is None and not limit.expired():
            reason = error
            limit.reschedule(asyncio.get_running_loop().time())

    watched = nullcontext() if standings is None else standings.watching(principal, end)
    try:
        async with limit:
            with watched:
                yield
    except TimeoutError:
        if limit.expired():
            raise (reason or expired()) from None
        raise
