# Needs Python 3.11 or newer, make and a package index; everything else goes into the environment.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
UV_VERSION := $(shell awk '/^name = "uv"$$/ { getline; gsub(/[^0-9.]/, ""); print }' uv.lock)
PACKAGES := agreements gateways store telemetry activities workflows api sandbox bench cli worker.py settings.py logs.py tests

export UV_PROJECT_ENVIRONMENT := $(VENV)
export UV_PYTHON_DOWNLOADS := never

.PHONY: demo dev secrets test test-api test-browser test-deploy test-processes soak laws lint bench

# A collected year on the sandbox, then an audit.
demo: $(VENV)/.synced
	$(BIN)/autodebit demo

# Everything on this machine until Ctrl-C.
dev: $(VENV)/.synced
	$(BIN)/autodebit dev

# Draws what docker-compose.yml needs into .env; what is there already stays.
secrets: $(VENV)/.synced
	$(BIN)/autodebit secrets

# Needs no browser.
test: $(VENV)/.synced
	$(BIN)/pytest

# The engine started as its users start it: the demo, `dev`, the quickstart's day, a due day under kills.
test-processes: $(VENV)/.synced
	$(BIN)/pytest -m processes tests/cli tests/docs tests/soak

# Thousands of requests generated from the API's own description.
test-api: $(VENV)/.synced
	$(BIN)/pytest -n 0 -m generated tests/promises/test_api_description.py

# The pages customers meet, in a Chromium that must be on PATH.
test-browser: $(VENV)/.synced
	$(BIN)/pytest -m browser tests/pages tests/sandbox

# Every service of docker-compose.yml as a process of this machine, installed as in the image.
test-deploy: $(VENV)/.synced
	$(BIN)/pytest -n 0 -m deploy tests/deploy

# Agreements collected while every kind of process is killed, then an audit; `make soak SEED=7` repeats a plan of kills,
# `make soak SHORT=1` makes a few agreements live through everything once.
soak: $(VENV)/.synced
	$(BIN)/python -m tests.soak $(if $(SEED),--seed $(SEED)) $(if $(SHORT),--agreements 13 --cycles 3 --per-clock 7 --kills 1)

# Every law on examples nobody has tried yet, then those of the schedule in every time zone, a line each;
# `make laws ZONES=Europe/` for some of them.
laws: $(VENV)/.synced
	$(BIN)/pytest --hypothesis-profile=new tests/agreements
	AUTODEBIT_LAWS_ZONES=$(ZONES) $(BIN)/pytest --hypothesis-profile=new -v --no-header tests/agreements/laws_in_every_zone.py

# Throughput, histories, latency, a due day and its cost, beside bare parts in the same run (docs/performance.md).
# `make bench QUICK=1` is a smoke test; `make bench KEEP=1` writes the figures into the pages as well.
bench: $(VENV)/.synced
	$(BIN)/autodebit bench run $(if $(QUICK),--quick) --to bench-results/bench.json
	$(if $(KEEP),$(BIN)/autodebit bench pages --from bench-results/bench.json)

lint: $(VENV)/.synced
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict $(PACKAGES)
	$(BIN)/lint-imports

# The stamp is older than the lock whenever the environment may differ from it.
$(VENV)/.synced: uv.lock pyproject.toml
	test -x $(BIN)/uv || { $(PYTHON) -m venv --clear $(VENV) && $(BIN)/python -m pip install --quiet uv==$(UV_VERSION); }
	$(BIN)/uv sync --frozen --compile-bytecode --quiet
	touch $@
