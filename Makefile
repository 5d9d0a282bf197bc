# Sensus. `make` prints the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# what the venv holds: all that runs, or that and all that develops
RUN := $(VENV)/.run
DEV := $(VENV)/.dev
DATA_DIR ?= .sensus
GATEWAY_PORT ?= 8080
OVERLAY ?= prod
PROFILE ?= baseline
BACKUPS ?= backups
# what needs nothing but Python: the others have targets of their own
OWN := not peers and not faults and not validators and not console
# each worker has stores of its own; tests/scheduling.py says which tests it gets, and in which order
PARALLEL := -n auto --no-loadscope-reorder --durations=10
PROTO_DEPS := .protos-deps
# machine code of ingest, topology and the detector
KERNELS := services.ingest.write.compiled_loops services.topology.traces.kernels services.detector.detectors.compilation
# compiled once, not by every process that a test starts
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## Print the targets by category
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-21s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Run
.PHONY: setup up demo token migrate
setup: $(PROTO_DEPS) ## Make the venv and install all that developing needs (idempotent)

up: $(RUN) ## Run the product on embedded PostgreSQL and Redis (DATA_DIR, GATEWAY_PORT)
	@$(BIN)/sensus up --data-dir $(DATA_DIR) --gateway-port $(GATEWAY_PORT)

demo: $(RUN) ## See it find and explain a real anomaly on this machine, in two minutes (DEMO=--console: in the console too)
	@$(BIN)/sensus demo $(DEMO)

token: $(RUN) ## Print an access token for the running product
	@$(BIN)/sensus token --data-dir $(DATA_DIR)

migrate: $(RUN) ## Apply the migrations to SENSUS_POSTGRES_DSN
	@$(BIN)/sensus migrate

##@ Test
.PHONY: test test-long peers browser test-console drill coverage check
test: setup ## Run the tests (real embedded PostgreSQL and Redis, no network)
	$(BIN)/pytest $(PARALLEL) -m "$(OWN) and not long"

test-long: setup ## Run the long forms too: every Python here, properties with many examples
	SENSUS_LONG_TESTS=1 $(BIN)/pytest $(PARALLEL) -m "$(OWN)"

coverage: setup ## Run the tests with coverage, which must be 80 % at least
	$(BIN)/pytest $(PARALLEL) -m "$(OWN) and not long" --cov=mesh --cov=services --cov=cli --cov-report=term:skip-covered --cov-fail-under=80

peers: setup ## Test against the real Prometheus, Collector, Alertmanager, Mailpit, grpcurl and llama.cpp
	tools/get-peers.sh
	$(BIN)/pytest -m peers -rs tests/peers

browser: setup ## Get a browser and its driver for test-console (Chromium from Debian, or SENSUS_CHROMIUM)
	tools/get-browser.sh $(BIN)

test-console: browser ## Test the console in a real browser
	$(BIN)/pytest -m console -rs tests/console

drill: setup ## Kill each process during load and count what was acknowledged
	SENSUS_DRILL_ROUNDS=50 $(BIN)/pytest -m faults tests/faults

check: test lint validate ## Everything: tests, static checks, and the tools of the field

##@ Quality
.PHONY: lint lint-console format-check format types imports buf-lint buf-breaking protos protos-check lock
lint: format-check types imports buf-lint buf-breaking protos-check lint-console ## Run every static check

format-check: setup ## Check the style and the format of the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint-console: setup ## Check the scripts of the console: oxlint, and their types where npm can be had
	tools/lint-console.sh $(BIN)

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

lock: setup ## Resolve the dependencies anew into both locks
	@$(BIN)/pip install --quiet uv
	@PATH=$(abspath $(BIN)):$$PATH tools/lock.sh

##@ Measure
.PHONY: bench bench-intake bench-gateway bench-detect bench-detect-ablation bench-detect-speed bench-feedback bench-noise bench-explain bench-explain-latency bench-explain-storm bench-group bench-incidents
bench: setup ## Ours beside the naive chain, and queries beside a plain table, each in one run
	GRPC_VERBOSITY=NONE $(BIN)/python -m bench.chain
	GRPC_VERBOSITY=NONE $(BIN)/python -m bench.query
	GRPC_VERBOSITY=NONE $(BIN)/python -m bench.query_tail
	GRPC_VERBOSITY=NONE $(BIN)/python -m bench.chunks

bench-intake: setup ## Reading bodies of other systems, beside protobuf objects
	$(BIN)/python -m bench.intake

.PHONY: bench-write-path
bench-write-path: setup ## Sender to commit beside raw inserts, acks on a schedule, CPU by number of series
	GRPC_VERBOSITY=NONE $(BIN)/python -m bench.write_path

.PHONY: bench-write-profile
bench-write-profile: setup ## Where the time of a sample goes in ingest, by module, and a flame graph
	GRPC_VERBOSITY=NONE $(BIN)/python -m bench.write_profile

.PHONY: bench-events
bench-events: setup ## Reading OTLP traces and logs, beside protobuf objects
	$(BIN)/python -m bench.events

.PHONY: bench-regression
bench-regression: setup ## Fail when a reader is not that many times as fast as protobuf objects any more
	$(BIN)/python -m bench.intake --rounds 20 --least 6
	$(BIN)/python -m bench.events --rounds 20 --least 2

.PHONY: bench-topology
bench-topology: setup ## The whole way of spans, from the answer to rows of counts, beside protobuf objects
	$(BIN)/python -m bench.topology

.PHONY: bench-compare
bench-compare: setup ## The three comparisons of an explanation, with kept sums and without
	$(BIN)/python -m bench.compare

.PHONY: bench-names
bench-names: setup ## What a million names of spans, lines and services cost in memory
	GRPC_VERBOSITY=NONE $(BIN)/python -m bench.names

.PHONY: bench-templates
bench-templates: setup .templates/bin/python ## How log lines are grouped and how fast, beside drain3 (SENSUS_LOGHUB=FOLDER: its samples too)
	$(BIN)/python -m bench.templates

.templates/bin/python: bench/templates/requirements.txt
	$(PYTHON) -m venv .templates
	.templates/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --require-hashes -r $<
	@touch $@

.PHONY: exam
exam: setup .exam/bin/python ## Faults in a shop of unmodified OpenTelemetry packages: who is named? (EXAM="--only NAME --sampled .5")
	GRPC_VERBOSITY=NONE $(BIN)/python -m bench.exam $(EXAM)

.exam/bin/python: bench/exam/requirements.txt
	$(PYTHON) -m venv .exam
	.exam/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --require-hashes -r $<
	@touch $@

bench-gateway: setup ## The gateway beside FastAPI, at a steady pace, and with a thousand open streams
	@$(BIN)/python -c 'import fastapi' 2>/dev/null || $(BIN)/pip install --quiet --disable-pip-version-check 'fastapi==0.165.0'
	$(BIN)/python -m bench.gateway

bench-detect: setup ## Detection quality on the external corpora
	$(BIN)/python -m bench.detect

bench-detect-ablation: setup ## Detection quality without one part of the engine after the other
	$(BIN)/python -m bench.detect_ablation

bench-detect-speed: setup ## Time and memory of the engine, beside scikit-learn and river in one run
	$(BIN)/python -m bench.detect_speed

bench-feedback: setup ## What judged alarms do to a replay of the external corpora
	$(BIN)/python bench/detect_feedback.py

bench-noise: setup ## How quiet a fresh installation is, for several noise budgets
	$(BIN)/python bench/detect_noise.py

bench-explain-latency: setup ## Time from an alert to its explanation, with 10 000 series
	GRPC_VERBOSITY=NONE $(BIN)/python -m bench.explain_latency

bench-explain-storm: setup ## Like alerts explained a second, and how soon a critical one among thousands
	GRPC_VERBOSITY=NONE $(BIN)/python -m bench.explain_storm

bench-group: setup ## How well storms of alerts are grouped, beside a fixed pause, and how fast
	$(BIN)/python -m bench.group

bench-incidents: setup ## Time of one change and one page with 100,000 incidents and a million members
	$(BIN)/python -m bench.incidents

bench-explain: setup ## Root-cause ranking on the external incidents
	$(BIN)/python bench/explain.py

.PHONY: bench-console
bench-console: browser ## How soon the console shows something, on a slow machine and network
	$(BIN)/python -m bench.console

.PHONY: load
load: setup ## Send a profile of load (PROFILE=baseline, stress, spike or sustained) and write load.html
	GRPC_VERBOSITY=NONE $(BIN)/python -m bench.load $(PROFILE)

.PHONY: bench-cost
bench-cost: setup ## What samples, series and incidents cost each process, and what larger loads need
	GRPC_VERBOSITY=NONE $(BIN)/python -m bench.cost

.PHONY: bench-agent
bench-agent: setup ## What the agent costs: share of a core, memory
	$(BIN)/python -m bench.agent

##@ Operate
.PHONY: observability validate backup restore monitor
observability: setup ## Write what is made from the code: metrics, rules, dashboards
	@$(BIN)/python -m observability

validate: setup ## Ask promtool, amtool, kubectl, checkov, hadolint and actionlint; what cannot be had is skipped
	tools/get-validators.sh
	$(BIN)/pytest -n 2 -m validators -rs tests

backup: ## Back up the database SENSUS_POSTGRES_DSN into BACKUPS, seven days kept
	@scripts/backup.sh $(BACKUPS)

restore: ## Restore the backup FILE into an empty SENSUS_POSTGRES_DSN
	@scripts/restore.sh $(FILE)

monitor: ## Say whether the running product is well
	@scripts/monitor.sh http://127.0.0.1:$(GATEWAY_PORT)

##@ Ship
.PHONY: image client k8s clean
client: setup ## Build the wheel of the client package, with the stubs inside, into dist/
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist clients/python
	@ls dist/sensus_client-*.whl

image: ## Build the image of each service, and of the agent
	for service in ingest detector explainer incidents notifier topology gateway agent; do docker build --build-arg SERVICE=$$service -t sensus-$$service . || exit 1; done

k8s: ## Print the Kubernetes objects (OVERLAY=dev or prod)
	kubectl kustomize k8s/overlays/$(OVERLAY)
	@echo ---
	kubectl kustomize k8s/agent

clean: ## Remove the venv and every cache (never the data)
	rm -rf $(VENV) $(PROTO_DEPS) .peers .validators .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage htmlcov build dist
	find bench cli clients gen mesh observability services tests tools -name __pycache__ -prune -exec rm -rf {} +

# A venv that develops goes on developing: it never falls back to the smaller lock.
$(RUN): requirements.lock pyproject.toml
	@PYTHON=$(PYTHON) tools/install.sh $(VENV) $(if $(wildcard $(DEV)),requirements-dev.lock,$<)
	@touch $@

$(DEV): requirements-dev.lock pyproject.toml
	@PYTHON=$(PYTHON) tools/install.sh $(VENV) $<
	@# at once: in a test, what a compiler warns of in other people's code would be an error
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	@# side by side and now, instead of while the first sender waits, and in each worker of the tests
	@for module in $(KERNELS); do $(BIN)/python -m $$module || echo "$$module is compiled when it is first used" & done; \
	  $(BIN)/pytest --collect-only -qq >/dev/null 2>&1 || echo "the tests are compiled when they first run" & wait
	@touch $(RUN) $@

$(PROTO_DEPS): $(DEV)
	@$(BIN)/python tools/copy_google_protos.py $@
	@touch $@
