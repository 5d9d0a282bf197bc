#!/usr/bin/env bash
# Resolve pyproject.toml into requirements.lock: hashes, every platform, no index host. Needs uv (pip install uv).
set -euo pipefail
uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-header --quiet --output-file requirements.lock
