PYTHON ?= python3
BIN := .venv/bin
PURE := telco_bridge/transitions.py,telco_bridge/_st*.py,plugins/*/decode.py,plugins/*/invitations.py,plugins/*/modalities.py,plugins/*/reasons.py,plugins/*/successions.py

# Most tests wait for a network's time and not for a processor.
WORKERS ?= $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))

SUDO := $(shell test "$$(id -u)" = 0 || command -v sudo)

.DEFAULT_GOAL := help
.PHONY: help demo packages test lint types unit promises third-party format docs certificates coverage benchmark clean

help:           ## show these words
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 16

demo: .venv/ready    ## the same calls on every provider, on a phone network of their own
	$(BIN)/telco-bridge demo

packages:        ## the Debian packages that tests with real calls and real speech need
	-$(SUDO) apt-get update -qq
	$(SUDO) apt-get install -qq --yes --no-install-recommends baresip-core sip-tester espeak-ng

test: lint types promises unit third-party    ## everything that CI checks

lint: .venv/ready    ## format and lint, changing nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/ready    ## pyright and mypy, both strict
	$(BIN)/pyright
	$(BIN)/mypy

unit: .venv/ready    ## the tests, on asyncio and trio
	$(BIN)/pytest -q -n $(WORKERS)

promises: .venv/ready    ## every branch of what is pure is reached by the tests of its own
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q tests/test_transitions.py tests/signalwire/test_decode.py tests/signalwire/test_reasons.py tests/ucwa/test_decode.py tests/ucwa/test_moves.py tests/ucwa/test_reasons.py
	$(BIN)/coverage report --include='$(PURE)' --fail-under=100

third-party: .venv/third-party    ## the tests of the example plugin, which is a distribution of its own
	cd examples/third_party_plugin && PYTHONPATH=$(CURDIR)/.venv/third-party ../../$(BIN)/pytest -q -n auto

format: .venv/ready    ## format, and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/ready    ## write the generated parts of the documentation anew
	$(BIN)/python docs/tables.py README.md

certificates: .venv/ready .venv/third-party    ## run the conformance kit on every provider, and write what it proves
	$(BIN)/pytest -q -n auto tests/contract --certificate=docs/certificates
	cd examples/third_party_plugin && PYTHONPATH=$(CURDIR)/.venv/third-party ../../$(BIN)/pytest -q -n auto tests/test_contract.py --certificate=certificate
	$(BIN)/python docs/tables.py README.md

coverage: .venv/ready    ## which lines no test reaches
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q
	$(BIN)/coverage report --show-missing --skip-covered

benchmark: .venv/ready    ## the numbers
	$(BIN)/python benchmarks/import_time.py
	$(BIN)/python benchmarks/media.py
	$(BIN)/python benchmarks/signalwire.py
	$(BIN)/python benchmarks/chaos.py
	$(BIN)/python benchmarks/ucwa.py
	$(BIN)/python benchmarks/ucwa_soak.py

# Installed as anybody would install it, but beside the environment: the other tests know nothing of it.
.venv/third-party: .venv/ready $(wildcard examples/third_party_plugin/pyproject.toml examples/third_party_plugin/telco_bridge_baresip/*.py)
	rm -rf $@
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $@ ./examples/third_party_plugin

clean:           ## remove what was made
	rm -rf .venv .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@
