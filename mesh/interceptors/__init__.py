"""What stands around every handler, in this order, outermost first."""

from collections.abc import Collection, Mapping

import grpc

from mesh.auth import Policy, TokenVerifier
from mesh.interceptors.auth import AuthInterceptor
from mesh.interceptors.client import client_interceptors
from mesh.interceptors.deadline import UNARY_LIMIT_S, DeadlineInterceptor
from mesh.interceptors.decoding import DecodingInterceptor
from mesh.interceptors.errors import ErrorInterceptor
from mesh.interceptors.observe import ObserveInterceptor
from mesh.interceptors.tracing import TracingInterceptor

__all__ = ["client_interceptors", "server_interceptors"]


def server_interceptors(
    *,
    verifier: TokenVerifier,
    policies: Mapping[str, Policy],
    always_sampled: Collection[str] = (),
    unary_limit_s: float = UNARY_LIMIT_S,
) -> list[grpc.aio.ServerInterceptor]:
    """The interceptors of a server.

    Args:
        verifier: Of the callers' tokens.
        policies: Access by full method; what is missing is denied.
        always_sampled: Full methods that are traced whatever the ratio, such as the alert intake.
        unary_limit_s: The end of unary calls whose caller set none.
    """
    return [
        # first, so that all below belongs to the caller's trace
        TracingInterceptor(always_sampled),
        # inside the span, so that the line has its ids; outside errors, so that it sees the status
        ObserveInterceptor(),
        # above everything that may raise
        ErrorInterceptor(),
        # before any work is done for the caller
        AuthInterceptor(verifier, policies),
        # late, so that the time left is measured where the work begins
        DeadlineInterceptor(unary_limit_s),
        # next to the handler, so that a stranger with a broken message is still a stranger
        DecodingInterceptor(),
    ]
