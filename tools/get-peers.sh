#!/usr/bin/env bash
# Get the foreign programs that `make peers` tests against. What cannot be had is skipped there, with a word.
set -uo pipefail
bin=${1:-.peers/bin}
mkdir -p "$bin"
export PATH="$PWD/$bin:$PATH"
have() { command -v "$1" >/dev/null; }

if ! have prometheus || ! { have prometheus-alertmanager || have alertmanager; }; then
  if have apt-get && [ "$(id -u)" = 0 ]; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq prometheus prometheus-alertmanager >/dev/null
  fi
fi
if ! have grpcurl && have go; then
  GOBIN="$PWD/$bin" go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3
fi
for program in prometheus prometheus-alertmanager grpcurl; do
  have "$program" && echo "found $program" || echo "missing $program: its tests will be skipped"
done
