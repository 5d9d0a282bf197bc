#!/usr/bin/env bash
# Get the foreign programs that `make peers` tests against. What cannot be had is skipped there, with a word.
set -uo pipefail
bin=${1:-.peers/bin}
mkdir -p "$bin"
export PATH="$PWD/$bin:$PATH"
have() { command -v "$1" >/dev/null; }

if ! have prometheus || ! have prometheus-node-exporter || ! { have prometheus-alertmanager || have alertmanager; }; then
  if have apt-get && [ "$(id -u)" = 0 ]; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq prometheus prometheus-node-exporter prometheus-alertmanager >/dev/null
  fi
fi
if ! have grpcurl && have go; then
  GOBIN="$PWD/$bin" go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3
fi
if ! have mailpit && have go; then
  GOBIN="$PWD/$bin" go install github.com/axllent/mailpit@v1.33.1
fi
if have go && { ! have collector || [ tests/peers/collector/main.go -nt "$bin/collector" ]; }; then
  out=$(cd "$bin" && pwd)
  (cd tests/peers/collector && go build -o "$out/collector" .)
fi
# a receiver of webhooks that is made of Alertmanager's own types and templates
if ! have webhook-reader && have go; then
  out=$(cd "$bin" && pwd)
  (cd tests/peers/reader && go build -o "$out/webhook-reader" .)
fi
# the exporter that sends OTLP as JSON
have_npm_exporter() { [ -d .peers/npm/node_modules/@opentelemetry/exporter-metrics-otlp-http ]; }
if ! have_npm_exporter && have npm; then
  mkdir -p .peers/npm && npm install --silent --no-audit --no-fund --prefix .peers/npm \
    @opentelemetry/exporter-metrics-otlp-http@0.223.0 @opentelemetry/sdk-metrics@2.12.1 @opentelemetry/resources@2.12.1
fi
# a real llama.cpp server for a model of random weights; llama-cpp-python is compiled here, which takes a while
have_llama() { .peers/venv/bin/python -c 'import gguf, llama_cpp.server' 2>/dev/null; }
if ! have_llama && have cmake && have g++; then
  python3 -m venv .peers/venv &&
    .peers/venv/bin/pip install --quiet --disable-pip-version-check \
      gguf==0.19.0 'llama-cpp-python[server]==0.3.36'
fi
# schemathesis brings an HTTP client and a parser of its own, so it has a venv of its own
have_schemathesis() { .peers/schemathesis/bin/schemathesis --version >/dev/null 2>&1; }
if ! have_schemathesis; then
  python3 -m venv .peers/schemathesis &&
    .peers/schemathesis/bin/pip install --quiet --disable-pip-version-check schemathesis==4.32.5
fi
for program in prometheus prometheus-alertmanager grpcurl mailpit collector webhook-reader; do
  have "$program" && echo "found $program" || echo "missing $program: its tests will be skipped"
done
have_npm_exporter && echo "found the npm exporter" || echo "missing the npm exporter: its test will be skipped"
have_llama && echo "found llama.cpp server" || echo "missing llama.cpp server: its tests will be skipped"
have_schemathesis && echo "found schemathesis" || echo "missing schemathesis: its tests will be skipped"
