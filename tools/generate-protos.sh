#!/usr/bin/env bash
# Generate the Python stubs of protos/ into the directory given.
set -euo pipefail
out=$1
bin=${BIN:-.venv/bin}
rm -rf "$out/sensus"
mkdir -p "$out"
find protos -name '*.proto' -printf '%P\n' | sort | xargs env PATH="$bin:$PATH" "$bin/python" -m grpc_tools.protoc \
  -I protos -I .protos-deps --python_out="$out" --mypy_out="quiet:$out" --grpc_python_out="$out" --mypy_grpc_out="quiet:$out"
# a package without services gets an empty grpc module: nobody needs it
find "$out" -path '*/core/v1/*_pb2_grpc.py*' -delete
# the contract with its comments: the gateway describes its API from it
find protos -name '*.proto' -printf '%P\n' | sort | xargs "$bin/python" -m grpc_tools.protoc \
  -I protos -I .protos-deps --include_source_info --descriptor_set_out="$out/sensus/contract.binpb"
