#!/usr/bin/env bash
# lint-console.sh BIN: the scripts of the console. Types are checked where npm can be had.
set -euo pipefail
bin=$1
"$bin/oxlint" --quiet --deny-warnings console
if command -v npm >/dev/null && npm view typescript@7.0.2 version >/dev/null 2>&1; then
  npm exec --yes --package=typescript@7.0.2 -- tsc -p console/jsconfig.json
else
  echo "the types of the console were not checked: npm cannot be had"
fi
