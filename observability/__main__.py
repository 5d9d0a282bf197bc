"""`python -m observability` writes every generated file."""

import sys

from observability.generated import write

for path in write():
    sys.stdout.write(f"wrote {path}\n")
