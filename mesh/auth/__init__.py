"""Identity between services: keys, tokens, policies. What is not allowed is denied."""

from mesh.auth.identity import (
    ADMIN,
    LOGIN_LINK,
    SERVICE_SCOPES,
    Principal,
    current_principal,
    set_principal,
)
from mesh.auth.keys import generate_key_files
from mesh.auth.policies import PUBLIC, Policy, policies
from mesh.auth.standing import Standing, Standings
from mesh.auth.tokens import TokenMinter
from mesh.auth.verifier import AHEAD_S, TokenVerifier, expired

__all__ = [
    "ADMIN",
    "AHEAD_S",
    "LOGIN_LINK",
    "PUBLIC",
    "SERVICE_SCOPES",
    "Policy",
    "Principal",
    "Standing",
    "Standings",
    "TokenMinter",
    "TokenVerifier",
    "current_principal",
    "expired",
    "generate_key_files",
    "policies",
    "set_principal",
]
