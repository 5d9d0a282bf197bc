"""What stands around every handler, in this order, outermost first."""

from collections.abc import Collection, Mapping

from mesh.auth import Policy, TokenVerifier
from mesh.auth.standing import Standings
from mesh.budget import ByteBudget
from mesh.interceptors.auth import Authentication
from mesh.interceptors.client import client_interceptors
from mesh.interceptors.deadline import UNARY_LIMIT_S, Deadlines
from mesh.interceptors.decoding import Decoding
from mesh.interceptors.early_refusal import EarlyRefusal
from mesh.interceptors.errors import ErrorMapping
from mesh.interceptors.layers import Layers
from mesh.interceptors.observe import Observing
from mesh.interceptors.send_budget import SendBudget
from mesh.interceptors.tracing import Tracing

__all__ = ["Layers", "client_interceptors", "server_interceptors"]


def server_interceptors(
    *,
    verifier: TokenVerifier,
    policies: Mapping[str, Policy],
    standings: Standings | None = None,
    always_sampled: Collection[str] = (),
    unary_limit_s: float = UNARY_LIMIT_S,
) -> Layers:
    """What stands around the handlers of a server.

    Args:
        verifier: Of the callers' tokens.
        policies: Access by full method; what is missing is denied.
        standings: Whose tokens still hold; without it they hold until they expire.
        always_sampled: Full methods that are traced whatever the ratio, such as the alert intake.
        unary_limit_s: The end of unary calls whose caller set none.
    """
    return Layers(
        outer=[
            # first, so that all below belongs to the caller's trace
            Tracing(always_sampled),
            # inside the span, so that the line has its ids; outside errors, to see the status
            Observing(),
            # above everything that may raise
            ErrorMapping(),
        ],
        # before any work is done for the caller, and before its message is read
        strangers=EarlyRefusal(verifier, policies),
        inner=[
            Authentication(verifier, policies, standings),
            # where the caller is known, and outside of what may answer
            SendBudget(ByteBudget()),
            # late, so that the time left is measured where the work begins
            Deadlines(unary_limit_s),
            # next to the handler, so that a stranger with a broken message is still a stranger
            Decoding(),
        ],
    )
