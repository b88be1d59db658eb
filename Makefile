# Every command of the project; each sets up what is missing first.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up

.PHONY: setup run test test-slow bench lint clean

setup: $(STAMP)

# Where a ROS distribution is sourced its rclpy serves; elsewhere Kilted's comes from PyPI.
$(STAMP): setup.py Makefile
	@.ci/set_up $(PYTHON) $(VENV)
	@touch $@
