"""Who calls, and may they? Without a policy nobody may."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import grpc

from mesh import wire
from mesh.auth import Policy, Principal, TokenVerifier, expired, set_principal
from mesh.errors import PermissionDenied
from mesh.interceptors.around import Context, Continuation, MaybeHandler, around, is_infrastructure


class AuthInterceptor(grpc.aio.ServerInterceptor):
    """Checks the token against the policy of the method, and ends streams with their token."""

    def __init__(self, verifier: TokenVerifier, policies: Mapping[str, Policy]) -> None:
        """`policies` by full method; a method that is not in it is denied to everyone."""
        self._verifier = verifier
        self._policies = policies

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> MaybeHandler:
        """Puts the check in front of the handler."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or is_infrastructure(method):
            return handler
        is_stream = handler.request_streaming or handler.response_streaming

        @asynccontextmanager
        async def scope(context: Context) -> AsyncIterator[Context]:
            principal = self._admit(method, context)
            if principal is None or not is_stream:
                yield context
                return
            async with _no_longer_than(principal):
                yield context

        return around(handler, scope)

    def _admit(self, method: str, context: Context) -> Principal | None:
        policy = self._policies.get(method)
        if policy is None:
            raise PermissionDenied(f"{method} has no policy", reason="POLICY_MISSING")
        if policy.public:
            return None
        principal = self._verifier.verify(bearer_token(context))
        policy.check(principal)
        set_principal(principal)
        return principal


def bearer_token(context: Context) -> str:
    """The token of a call, empty when it carries none."""
    for key, value in context.invocation_metadata() or ():
        scheme, _, token = str(value).partition(" ")
        if key == wire.AUTHORIZATION and scheme.lower() == "bearer":
            return token.strip()
    return ""


@asynccontextmanager
async def _no_longer_than(principal: Principal) -> AsyncIterator[None]:
    left_s = principal.expires_at_s - time.time()
    try:
        async with asyncio.timeout(left_s) as limit:
            yield
    except TimeoutError:
        if limit.expired():
            raise expired() from None
        raise
