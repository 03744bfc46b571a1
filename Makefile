# make demo      the whole job on the bundled drive: real nodes over real DDS, no ROS installed
# make unit      tests without DDS, processes and training: a minute
# make test      all tests but the slow ones, with the linters: 6 minutes
# make test-all  every test: also colcon, benchmarks, fuzzing, faults, calibrations for int8
# make lint      the linters
# make docs      the documentation as a site, in build/docs; fails at a broken link
# make faults    every fault as often as docs/reliability.md promises: ten minutes
# make soak      the node under random faults: make soak MINUTES=30
# make fuzz      hostile bytes, guided by coverage: make fuzz RUNS=1000000
# Python 3.10 to 3.13; another interpreter: make demo PYTHON=python3.11
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# A sourced ROS must not mix with the ROS of the virtual environment.
CLEAN := env -u PYTHONPATH -u AMENT_PREFIX_PATH -u COLCON_PREFIX_PATH -u LD_LIBRARY_PATH -u ROS_DISTRO

# Of the demo.
BAG ?=
IMAGES ?=
IMAGE_TOPIC ?=
OUTPUT ?=
WEIGHTS ?=
ENGINE ?=
# LOCKED=1: install exactly the files of requirements.lock, each checked by its hash.
LOCKED ?=
# Of the fuzzers and of the soak.
RUNS ?=
SECONDS ?= $(if $(RUNS),0,5)
TARGETS ?=
MINUTES ?= 30
# Of the tests: so many at a time, each process of 2 GB.
JOBS ?= 2
DOCS ?= build/docs

.PHONY: demo unit test test-all lint docs help faults soak fuzz

help:
	@sed -n 's/^# make/make/p' Makefile

$(VENV)/.demo: requirements.txt setup.py package.xml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 10) <= v <= (3, 13) or sys.exit("eunet_ros needs Python 3.10 to 3.13, found %d.%d; name another one: make demo PYTHON=python3.11" % v)'
	@echo "Installing into $(VENV): ROS 2, PyTorch and OpenVINO from wheels, a few minutes the first time …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(CLEAN) $(BIN)/python -m pip install -q --disable-pip-version-check $(if $(LOCKED),--require-hashes -r requirements.lock,-r requirements.txt)
	@$(CLEAN) $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation --use-pep517 -e .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.demo
	@echo "Installing what the tests need into $(VENV) …"
	@$(CLEAN) $(BIN)/python -m pip install -q --disable-pip-version-check -r requirements-dev.txt
	@touch $@

demo: $(VENV)/.demo
	@$(CLEAN) $(BIN)/python -m eunet_ros.demo $(if $(BAG),--bag "$(BAG)") $(if $(IMAGES),--images "$(IMAGES)") \
		$(if $(IMAGE_TOPIC),--image-topic "$(IMAGE_TOPIC)") $(if $(OUTPUT),--output "$(OUTPUT)") \
		$(if $(WEIGHTS),--weights "$(WEIGHTS)") $(if $(ENGINE),--engine "$(ENGINE)")

# setup.cfg says what the tiers are. Over DDS one test would hear another that draws the same
# domain, and come too late; the slow ones measure: both run one at a time.
PYTEST = $(CLEAN) $(BIN)/python -m pytest
SHARED = $(PYTEST) -n $(JOBS) --dist loadfile
unit: $(VENV)/.dev
	@$(SHARED) -m unit

test: $(VENV)/.dev
	@$(SHARED) -m "not dds and not slow"
	@$(PYTEST) -m "dds and not slow"

# In two processes: after int8 networks of openvino a training in the same one ends by SIGSEGV.
test-all: test
	@$(PYTEST) -m slow --ignore=test/training
	@$(PYTEST) -m slow test/training

lint: $(VENV)/.dev
	@$(PYTEST) -q test/project/test_style.py

# The sources are the root, so that links between README, docs/ and the rest are checked too.
docs: $(VENV)/.dev
	@$(CLEAN) $(BIN)/python -m sphinx -q -W --keep-going -c docs -D root_doc=docs/index \
		-D 'include_patterns=docs/**,*.md,*.rst,model/weights/*.md' . $(DOCS)
	@echo $(DOCS)/docs/index.html

faults: $(VENV)/.dev
	@EUNET_LONG=1 $(PYTEST) -rP test/faults test/node/test_node_process.py

soak: $(VENV)/.dev
	@$(CLEAN) $(BIN)/python test/faults/soak.py --minutes $(MINUTES)

fuzz: $(VENV)/.dev
	@$(CLEAN) $(BIN)/python test/fuzz/run.py $(if $(RUNS),--runs $(RUNS)) --seconds $(SECONDS) $(TARGETS)
