# make demo      set up, then the whole chain on generated images: results/demo/report.pdf
# make test      set up, then every test and check
# make test-cluster  set up, then the workflow on a real Slurm (as root: it installs one)
# make test-faults  set up, then break things at random: SECONDS_OF_FAULTS (300), SEED (0)
# make published the published reports again from their tables, without training
# make docs      the tables of config/README.md again from the code
# make rulegraph the picture of the rules in docs/architecture.md (as root: it installs graphviz)

SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
CORES ?= $(shell nproc)

.PHONY: demo test test-cluster test-faults published docs rulegraph setup tex lock clean

demo: setup tex
	$(BIN)/snakemake all --cores $(CORES) --configfile config/demo.yaml --logger gradscape
	@echo "The report is in results/demo/report.pdf"

test: setup tex
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint
	$(BIN)/python -m pytest

test-cluster: setup tex
	$(BIN)/python -m pytest tests/cluster --durations 0

test-faults: setup tex
	$(BIN)/python -W ignore tests/faults.py --seconds $(or $(SECONDS_OF_FAULTS),300) \
	  --seed $(or $(SEED),0)

published: setup tex
	for folder in results/published/*/; do \
	  $(BIN)/gradscape report --config $$folder/config.json --results $$folder || exit; \
	done
	cp results/published/cpu/figures/degradation/cures.svg docs/  # the README's

docs: setup
	$(BIN)/python -m gradscape.readme

rulegraph: setup
	command -v dot || apt-get install -y -q --no-install-recommends graphviz
	$(BIN)/snakemake all --rulegraph --configfile config/demo.yaml \
	  | dot -Tsvg -Grankdir=LR > docs/rulegraph.svg

setup: .venv/installed

# With uv where there is one, with pip elsewhere; the same locked versions either way.
.venv/installed: requirements.lock pyproject.toml envs/setup.sh
	PYTHON=$(PYTHON) envs/setup.sh

tex:
	@envs/tex.sh

# All versions and hashes again, for every platform, naming no package host.
lock:
	uv pip compile pyproject.toml --extra dev --universal --generate-hashes --no-header \
	  --upgrade --python-version 3.11 --output-file requirements.lock

clean:
	rm -rf .venv .snakemake results/demo
