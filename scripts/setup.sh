#!/usr/bin/env bash
# Make a machine ready to run Sensus from this clone, and say what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$python is older than 3.11: name another with PYTHON=" >&2 && exit 1; }
make PYTHON="$python" .venv/.run
echo "ready: make up"
