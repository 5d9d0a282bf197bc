#!/usr/bin/env bash
# Resolve pyproject.toml into the two locks: hashes, every platform, no index host. Needs uv.
set -euo pipefail
resolve() {
  uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --no-header --quiet "$@"
}
resolve --all-extras --group dev --output-file requirements-dev.lock "$@"
# uv keeps the versions that it finds in its output file
cp requirements-dev.lock requirements.lock
resolve --extra embedded --group build --output-file requirements.lock
