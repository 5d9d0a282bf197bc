"""Identity between services: keys, tokens, policies. What is not allowed is denied."""

from mesh.auth.identity import ADMIN, SERVICE_SCOPES, Principal, current_principal, set_principal
from mesh.auth.keys import generate_key_files
from mesh.auth.policies import PUBLIC, Policy, policies
from mesh.auth.tokens import TokenMinter
from mesh.auth.verifier import TokenVerifier, expired

__all__ = [
    "ADMIN",
    "PUBLIC",
    "SERVICE_SCOPES",
    "Policy",
    "Principal",
    "TokenMinter",
    "TokenVerifier",
    "current_principal",
    "expired",
    "generate_key_files",
    "policies",
    "set_principal",
]
