PYTHON ?= python3
BIN := .venv/bin
PURE := telco_bridge/transitions.py,telco_bridge/_st*.py,plugins/*/decode.py,plugins/*/modalities.py,plugins/*/reasons.py

.DEFAULT_GOAL := help
.PHONY: help demo test lint types unit promises third-party format docs certificates coverage benchmark clean

help:           ## show these words
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 16

demo: .venv/ready    ## the same calls on every provider, on a phone network of their own
	$(BIN)/telco-bridge demo

test: lint types promises unit third-party    ## everything that CI checks

lint: .venv/ready    ## format and lint, changing nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/ready    ## pyright and mypy, both strict
	$(BIN)/pyright
	$(BIN)/mypy

unit: .venv/ready    ## the tests, on asyncio and trio
	$(BIN)/pytest -q -n auto

promises: .venv/ready    ## every branch of what is pure is reached by the tests of its own
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q tests/test_transitions.py tests/signalwire/test_decode.py tests/signalwire/test_reasons.py tests/ucwa/test_decode.py tests/ucwa/test_reasons.py
	$(BIN)/coverage report --include='$(PURE)' --fail-under=100

third-party: .venv/ready    ## the tests of the example plugin, which is a distribution of its own
	cd examples/third_party_plugin && PYTHONPATH=. ../../$(BIN)/pytest -q

format: .venv/ready    ## format, and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/ready    ## write the generated parts of the documentation anew
	$(BIN)/python docs/tables.py README.md

certificates: .venv/ready    ## run the conformance kit on every provider, and write what it proves
	$(BIN)/pytest -q -n auto tests/contract --certificate=docs/certificates
	$(BIN)/python docs/tables.py README.md

coverage: .venv/ready    ## which lines no test reaches
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q
	$(BIN)/coverage report --show-missing --skip-covered

benchmark: .venv/ready    ## the numbers
	$(BIN)/python benchmarks/import_time.py

clean:           ## remove what was made
	rm -rf .venv .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@
