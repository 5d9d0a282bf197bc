# Sensus. `make` prints the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
DATA_DIR ?= .sensus
GATEWAY_PORT ?= 8080
PROTOS := $(shell find protos -name '*.proto')
PROTO_DEPS := .protos-deps

.PHONY: help
help: ## Print the targets by category
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Run
.PHONY: setup up demo token migrate
setup: $(STAMP) ## Make the venv and install the locked dependencies (idempotent)

up: setup ## Run the product on embedded PostgreSQL and Redis (DATA_DIR, GATEWAY_PORT)
	@$(BIN)/sensus up --data-dir $(DATA_DIR) --gateway-port $(GATEWAY_PORT)

demo: setup ## See it find and explain a real anomaly on this machine, in two minutes
	@$(BIN)/sensus demo

token: setup ## Print an access token for the running product
	@$(BIN)/sensus token --data-dir $(DATA_DIR)

migrate: setup ## Apply the migrations to SENSUS_POSTGRES_DSN
	@$(BIN)/sensus migrate

##@ Test
.PHONY: test test-unit peers drill coverage check
test: setup ## Run the tests (real embedded PostgreSQL and Redis, no network)
	$(BIN)/pytest -m "not peers and not faults"

coverage: setup ## Run the tests with coverage
	$(BIN)/pytest -m "not peers and not faults" --cov=mesh --cov=services --cov=cli --cov-report=term:skip-covered

peers: setup ## Test against the real Prometheus, Alertmanager, grpcurl and llama.cpp
	tools/get-peers.sh
	$(BIN)/pytest -m peers -rs tests/peers

drill: setup ## Kill each process during load and count what was acknowledged
	$(BIN)/pytest -m faults tests/faults

check: test lint ## All that CI runs

##@ Quality
.PHONY: lint format types imports buf-lint buf-breaking protos protos-check lock
lint: format-check types imports buf-lint buf-breaking protos-check ## Run every static check

format-check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup ## Format the code and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: setup ## Check the types (mypy --strict)
	$(BIN)/mypy

imports: setup ## Check the import contracts
	$(BIN)/lint-imports

buf-lint: setup ## Lint the protos (STANDARD and COMMENTS) and their format
	$(BIN)/buf lint
	$(BIN)/buf format -d --exit-code

buf-breaking: setup ## Compare the contract with the one on main (BASE_REF=... for another)
	@BIN=$(BIN) tools/buf-breaking.sh $(BASE_REF)

protos: setup ## Generate gen/ from protos/
	@BIN=$(BIN) tools/generate-protos.sh gen

protos-check: setup ## Fail when gen/ is not what protos/ generates
	@BIN=$(BIN) tools/check-protos.sh

lock: setup ## Resolve the dependencies anew into requirements.lock
	@tools/lock.sh

##@ Measure
.PHONY: bench bench-detect bench-detect-ablation bench-detect-speed bench-feedback bench-noise bench-explain bench-explain-latency
bench: setup ## Ours beside the naive chain, and queries beside a plain table, each in one run
	GRPC_VERBOSITY=NONE $(BIN)/python -m bench.chain
	GRPC_VERBOSITY=NONE $(BIN)/python -m bench.query

bench-detect: setup ## Detection quality on the external corpora
	$(BIN)/python bench/detect.py

bench-detect-ablation: setup ## What each part of the engine brings, and what others would
	$(BIN)/python -m bench.detect_ablation
	$(BIN)/python -m bench.detect_left_out

bench-detect-speed: setup ## Time and memory of the engine, beside scikit-learn and river in one run
	$(BIN)/python -m bench.detect_speed

bench-feedback: setup ## What judged alarms do to a replay of the external corpora
	$(BIN)/python bench/detect_feedback.py

bench-noise: setup ## How quiet a fresh installation is, for several noise budgets
	$(BIN)/python bench/detect_noise.py

bench-explain-latency: setup ## Time from an alert to its explanation, with 10 000 series
	$(BIN)/python bench/explain_latency.py

bench-explain: setup ## Root-cause ranking on the external incidents
	$(BIN)/python bench/explain.py

##@ Ship
.PHONY: image k8s clean
image: ## Build the image of each service
	for service in ingest detector explainer gateway; do docker build --build-arg SERVICE=$$service -t sensus-$$service . || exit 1; done

k8s: ## Print the Kubernetes objects
	kubectl kustomize k8s/base

clean: ## Remove the venv and every cache (never the data)
	rm -rf $(VENV) $(PROTO_DEPS) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Sensus needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python tools/copy_google_protos.py $(PROTO_DEPS)
	@touch $@
