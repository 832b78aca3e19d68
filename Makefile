# Everything is built and installed inside this repository: .venv, .venvs, .wheelhouse, target.
# Stamp files make a second run of any target quick, and let it work without a network.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# The interpreter to build for and to test on; another one makes a new .venv.
PYTHON ?= python3
# Which build of the wheel: demo is the quickest to make (cargo's dev profile, no Parquet export, no symbols), dev has everything and
# checks itself, release is what is published and measured.
RELEASE_GOALS := wheel test-all bench gallery kill picture
PROFILE ?= $(or $(if $(filter $(RELEASE_GOALS),$(MAKECMDGOALS)),release),$(if $(filter-out demo,$(MAKECMDGOALS)),dev),demo)
export PROFILE
# Which of the published wheels `make wheels` builds: all of them.
WHEELS ?=
# How many random cases of each kind `make miri` tries.
MIRI_CASES ?= 2
# More arguments for pytest, as in: make test-python PYTEST_ARGS='-k run -x'
PYTEST_ARGS ?=

export CARGO_TERM_COLOR ?= auto
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# What cargo keeps for incremental builds is as large as the build itself.
export CARGO_INCREMENTAL ?= 0

PYTHON_TAG := $(shell $(PYTHON) -c 'import sys; print("%s.%d" % (sys.implementation.cache_tag, sys.version_info[2]))' 2>/dev/null || echo none)
BIN := .venv/bin
STAMPS := .venv/.stamps
INSTALLED := $(STAMPS)/installed-$(PROFILE)
WHEEL := target/wheels/.built-$(PROFILE)

WHEEL_SOURCES := pyproject.toml Cargo.toml Cargo.lock .cargo/config.toml README.md LICENSE-MIT LICENSE-APACHE THIRD-PARTY-LICENSES.txt \
	$(shell find crates -name '*.rs' -o -name Cargo.toml -o -path '*/src/*' -type f -o -path '*/assets/*' -type f) \
	$(wildcard scripts/build/*.py) \
	$(shell find python -type f -not -name '*.pyc' -not -name '*.so' -not -path '*/data/scripts/*')

# Modules that a macro declares.
UNSEEN_BY_CARGO_FMT := $(wildcard crates/cpython/src/version/*.rs)

# The binding is tested from Python; its own crate has no tests, and pyo3 need not be built for none.
RUST_TESTED := --workspace --exclude heapsight-binding

BUILD_demo := --profile dev --no-default-features
BUILD_dev := --profile dev
BUILD_release := --profile release

# In the environment, where both calls of cargo see it: other options would make other crates.
ifeq ($(PROFILE),demo)
$(WHEEL): export CARGO_PROFILE_DEV_DEBUG := false
$(WHEEL): export CARGO_PROFILE_DEV_STRIP := symbols
endif
# The backend is maturin's own with one step before it.
export MATURIN_NO_MISSING_BUILD_BACKEND_WARNING := 1

PYTHON_LINTED := python tests scripts examples benchmarks
PYTHON_TYPED := python/heapsight python/data/purelib tests/python tests/interpreters tests/long/kill_packages.py tests/long/sampled_estimates.py scripts examples benchmarks

.PHONY: help
help: ## list the targets (what plain `make` does)
	@echo "usage: make TARGET [PYTHON=python3] [PROFILE=demo|dev|release]"
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name text; do printf '  %-14s %s\n' "$$name" "$$text"; done

.PHONY: demo
demo: $(INSTALLED) ## trace a real program: build, install into .venv, run examples/index_stdlib.py
	@mkdir -p target/demo
	@echo "$(if $(filter release,$(PROFILE)),This is the release build.,This is a quick build of heapsight ($(PROFILE)) and slower than the published one; for that: make demo PROFILE=release)"
	$(BIN)/heapsight run --force -o target/demo/index_stdlib.heapsight examples/index_stdlib.py
	@echo; echo "The same as a page for a browser:"
	$(BIN)/heapsight flamegraph --force -o target/demo/index_stdlib.html target/demo/index_stdlib.heapsight

.PHONY: test
test: test-rust test-web test-python ## run the Rust, page and Python tests on the default interpreter

.PHONY: test-rust
test-rust: tools ## run the Rust tests only
	@if cargo nextest --version >/dev/null 2>&1; then \
		cargo nextest run --locked $(RUST_TESTED) --cargo-quiet --status-level fail --final-status-level slow && cargo test --locked $(RUST_TESTED) --doc --quiet; \
	else \
		cargo test --locked $(RUST_TESTED) --quiet; \
	fi

.PHONY: miri
miri: ## run the Rust tests of the unsafe crates under Miri, as far as it can (needs a nightly toolchain with miri and rust-src)
	MIRIFLAGS="-Zmiri-permissive-provenance -Zmiri-disable-isolation" PROPTEST_CASES=$(MIRI_CASES) \
		cargo +nightly miri test --locked --no-fail-fast --target-dir target/miri --package heapsight-cpython --package heapsight-tracer --lib

.PHONY: test-python
test-python: $(INSTALLED) $(STAMPS)/test $(STAMPS)/readers ## run the Python tests only
	$(BIN)/python -m pytest $(PYTEST_ARGS)

.PHONY: test-web
test-web: $(INSTALLED) ## run the tests of the page, in the browsers that are there (needs node)
	@scripts/web.sh test

.PHONY: test-all
test-all: test-rust $(INSTALLED) ## run the tests on every interpreter found on the machine
	scripts/matrix.sh test

.PHONY: smoke
smoke: $(INSTALLED) ## import and use the wheel, in a minute, on every interpreter found
	scripts/matrix.sh smoke

.PHONY: check
check: check-format check-rules check-rust check-python check-web ## run all linters, warnings denied

.PHONY: check-format
check-format: tools $(STAMPS)/lint
	cargo fmt --all --check
	rustfmt --edition 2024 --check $(UNSEEN_BY_CARGO_FMT)
	$(BIN)/ruff check --quiet $(PYTHON_LINTED)
	$(BIN)/ruff format --check --quiet $(PYTHON_LINTED)

.PHONY: check-rules
check-rules: $(STAMPS)/lint
	$(BIN)/python scripts/check_rules.py
	$(BIN)/python scripts/check_documents.py
	$(BIN)/python scripts/site/check.py
	$(BIN)/python scripts/site/generate.py --check commands files

.PHONY: check-rust
check-rust: tools check-dependencies
	cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
	cargo clippy --locked --package heapsight-command --no-default-features --quiet -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items --quiet

.PHONY: check-dependencies
check-dependencies: $(STAMPS)/lint
	$(BIN)/python scripts/third_party.py --check
	$(BIN)/python scripts/check_features.py
	@if cargo deny --version >/dev/null 2>&1; then \
		cargo deny --all-features --log-level error --offline check bans licenses sources; \
	else \
		echo "cargo-deny is not installed: dependencies and their licences are checked by CI only"; \
	fi

.PHONY: check-python
check-python: $(INSTALLED) $(STAMPS)/lint
	$(BIN)/python -m mypy $(PYTHON_TYPED)
	$(BIN)/python -m mypy.stubtest heapsight --allowlist scripts/stubtest_allowlist.txt
	$(BIN)/python scripts/site/generate.py --check functions
	@if [ -x benchmarks/instructions/check ]; then benchmarks/instructions/check; fi

.PHONY: check-web
check-web: ## check the page's sources, and that the page is what they give (needs node)
	@scripts/web.sh check

.PHONY: format
format: $(STAMPS)/lint ## rewrite the sources as `make check` wants them
	cargo fmt --all
	rustfmt --edition 2024 $(UNSEEN_BY_CARGO_FMT)
	$(BIN)/ruff check --quiet --fix $(PYTHON_LINTED)
	$(BIN)/ruff format --quiet $(PYTHON_LINTED)

.PHONY: bench
bench: $(INSTALLED) ## measure against untraced, tracemalloc and memray (long; see benchmarks/README.md)
	benchmarks/run $(BENCH_ARGS)

# An interpreter with large packages and heapsight.
GALLERY := .venvs/gallery-$(PYTHON_TAG)/bin/python

.PHONY: gallery-packages
gallery-packages: $(INSTALLED)
	@[ -x $(GALLERY) ] || $(PYTHON) -m venv .venvs/gallery-$(PYTHON_TAG)
	scripts/install_requirements.sh $(GALLERY) requirements/gallery.txt
	$(BIN)/python -m pip --python $(GALLERY) install --quiet --no-index --no-deps --force-reinstall target/wheels/heapsight-*.whl

.PHONY: gallery
gallery: gallery-packages ## run the programs of examples/gallery, with real packages, and check the first answers
	$(GALLERY) examples/gallery/run.py

.PHONY: kill
kill: gallery-packages ## kill programs that import large packages at random moments: do their captures say what was so?
	$(GALLERY) tests/long/kill_packages.py $(KILL_ARGS)

.PHONY: wheel
wheel: $(WHEEL) ## build the wheel into target/wheels

.PHONY: wheels
wheels: tools $(STAMPS)/wheels ## build what is published into dist: wheels for old and new Linux, sdist (WHEELS=NAME: one of them)
	$(BIN)/python scripts/wheels.py $(WHEELS)

.PHONY: web
web: ## build the page of its sources in web/ (needs node)
	scripts/web.sh build

# The site's tools have an environment of their own: they want other versions than the tests do.
DOCS := .venvs/docs-$(PYTHON_TAG)/bin

.PHONY: docs
docs: ## build the site of docs/ into target/site; a warning, a broken link or a page outside the navigation fails
	@[ -x $(DOCS)/python ] || $(PYTHON) -m venv .venvs/docs-$(PYTHON_TAG)
	@scripts/install_requirements.sh $(DOCS)/python requirements/docs.txt
	$(PYTHON) scripts/site/check.py
	NO_MKDOCS_2_WARNING=1 $(DOCS)/mkdocs build --quiet --strict

.PHONY: documents
documents: $(INSTALLED) ## write the parts of the documentation anew that are made of help texts, docstrings, examples and their output
	$(BIN)/python scripts/site/generate.py commands functions files
	$(BIN)/python scripts/site/shown.py

.PHONY: picture
picture: $(INSTALLED) ## draw the pictures of README and site again, from real runs (tmux, Chromium)
	$(BIN)/python scripts/picture.py
	scripts/page_pictures.sh

.PHONY: clean
clean: ## remove what was built, but not the downloaded Python packages
	rm -rf .venv .venvs target dist .mypy_cache .ruff_cache .pytest_cache
	find python tests scripts examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: tools
tools:
	@scripts/check_tools.sh "$(PYTHON)"

$(STAMPS)/venv-$(PYTHON_TAG): | tools
	@rm -rf .venv
	$(PYTHON) -m venv .venv
	@mkdir -p $(STAMPS)
	@touch $@

$(STAMPS)/build $(STAMPS)/test $(STAMPS)/lint $(STAMPS)/readers $(STAMPS)/wheels: $(STAMPS)/%: requirements/%.txt $(STAMPS)/venv-$(PYTHON_TAG)
	scripts/install_requirements.sh $(BIN)/python $<
	@touch $@

$(WHEEL): $(WHEEL_SOURCES) $(STAMPS)/build
	@rm -rf target/wheels
	$(BIN)/python scripts/build/backend.py $(or $(BUILD_$(PROFILE)),$(error PROFILE=$(PROFILE): use demo, dev or release))
	$(BIN)/maturin build --locked $(BUILD_$(PROFILE)) --interpreter $(BIN)/python --out target/wheels
	@touch $@

$(INSTALLED): $(WHEEL) $(STAMPS)/venv-$(PYTHON_TAG)
	$(BIN)/python -m pip install --quiet --no-index --no-deps --force-reinstall target/wheels/heapsight-*.whl
	@rm -f $(STAMPS)/installed-*
	@touch $@
