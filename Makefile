# SPDX-License-Identifier: Apache-2.0
# Every command of the project; each sets up what is missing first.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
NOBLE_VENV := .venv-noble
BIN := $(VENV)/bin
# Most tests wait for processes more than they compute.
PARALLEL := -n 3 --dist loadfile
# What older versions of the libraries may do otherwise, and one gateway as a whole.
NOBLE_PART := test/unit test/integration --ignore-glob='*/test_runner_*' --ignore-glob='*/test_ros_*' \
	test/acceptance/test_specification.py

.PHONY: setup run test test-noble test-slow bench lint clean

setup: $(VENV)/.complete

$(VENV)/.complete: setup.py .ci/set_up
	@echo 'Setting up $(VENV); the first time this takes a minute.'
	@.ci/set_up $(PYTHON) $(VENV)
	@touch $@

run: setup
	@$(BIN)/python -m gateway_node.demo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -m 'not slow' $(PARALLEL)

# The versions that Ubuntu 24.04 ships, so that `rosdep install` suffices on a robot; its Python too,
# where there is one.
test-noble: $(NOBLE_VENV)/.complete
	@echo "Testing with $$($(NOBLE_VENV)/bin/python --version); Ubuntu 24.04 has 3.12."
	$(NOBLE_VENV)/bin/python -m pytest -m 'not slow' $(PARALLEL) $(NOBLE_PART)

$(NOBLE_VENV)/.complete: setup.py .ci/set_up .ci/find_python test/constraints-ubuntu-24.04.txt
	@.ci/set_up "$$(.ci/find_python 3.12 $(PYTHON))" $(NOBLE_VENV) test/constraints-ubuntu-24.04.txt
	@touch $@

test-slow: setup
	$(BIN)/python -m pytest -m slow --timeout 3600

# make bench ROWS='start record': those rows. From within test/, as Python has a package `test`.
# What is measured is compiled, as it is on a robot.
bench: setup
	@$(BIN)/python -m compileall -q gateway_node
	@cd test && PYTHONPATH=support ../$(BIN)/python -m bench $(ROWS)

clean:
	rm -rf $(VENV) $(NOBLE_VENV) .venv-lso build install log .mypy_cache .pytest_cache .ruff_cache
