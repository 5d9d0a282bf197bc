#!/usr/bin/env bash
# Fail when gen/ is not what protos/ generates.
set -euo pipefail
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
"$(dirname "$0")/generate-protos.sh" "$fresh"
if ! diff -r --exclude=__pycache__ "$fresh/sensus" gen/sensus; then
  echo "gen/ differs from protos/: run 'make protos' and commit" >&2
  exit 1
fi
