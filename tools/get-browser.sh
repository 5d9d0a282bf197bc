#!/usr/bin/env bash
# get-browser.sh BIN: Chromium, and what drives it. Without a browser the tests of the console are skipped, with a word.
set -uo pipefail
bin=$1
if [ -z "${SENSUS_CHROMIUM:-}" ] && ! command -v chromium >/dev/null; then
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null
  else
    echo "no chromium: install it, or name one in SENSUS_CHROMIUM"
  fi
fi
"$bin/python" -m pip --disable-pip-version-check install --quiet --no-deps --require-hashes -r tests/console/requirements.txt
