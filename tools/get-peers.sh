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
# a real llama.cpp server for a model of random weights; llama-cpp-python is compiled here, which takes a while
have_llama() { .peers/venv/bin/python -c 'import gguf, llama_cpp.server' 2>/dev/null; }
if ! have_llama && have cmake && have g++; then
  python3 -m venv .peers/venv &&
    .peers/venv/bin/pip install --quiet --disable-pip-version-check \
      gguf==0.19.0 'llama-cpp-python[server]==0.3.36'
fi
for program in prometheus prometheus-alertmanager grpcurl; do
  have "$program" && echo "found $program" || echo "missing $program: its tests will be skipped"
done
have_llama && echo "found llama.cpp server" || echo "missing llama.cpp server: its tests will be skipped"
