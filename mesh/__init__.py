"""The runtime every service stands on. It knows no service."""

import os

# The core of gRPC writes to stderr past every handler and every limit, as often as a stranger
# makes it; it reads this once, when it is imported. Fatal errors are written nevertheless.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # noqa: TID251 - written, not read
