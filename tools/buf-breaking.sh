#!/usr/bin/env bash
# Compare the contract with an earlier one: BASE_REF, else the last release tag, else the parent commit.
set -euo pipefail
bin=${BIN:-.venv/bin}
base=${1:-$(git describe --tags --abbrev=0 2>/dev/null || git rev-parse --verify --quiet HEAD~1 || true)}
if [ -z "$base" ] || ! git cat-file -e "$base:protos" 2>/dev/null; then
  echo "buf breaking: nothing to compare with: no earlier commit holds protos/"
  exit 0
fi
old=$(mktemp -d)
trap 'rm -rf "$old"' EXIT
git archive "$base" protos buf.yaml | tar -x -C "$old"
cp -r .protos-deps "$old/"
"$bin/buf" breaking --against "$old"
