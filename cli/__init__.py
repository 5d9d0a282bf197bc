"""The `sensus` command, the embedded stores and the supervisor."""

import os

# gRPC's own notes on lost connections are ours to tell; it reads this once, when it is imported
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
