# make demo          set up, then the whole chain on generated images: results/demo/report.pdf
# make setup         the locked Python environment in .venv; make tex, a small TeX
# make test          set up, then every check and test; make lint, the checks alone
# make test-published  set up, then every published PDF again, byte for byte, every number, and
#                    the courses' archives by their READMEs
# make test-networks  set up, then other people's networks, and figures of every shape
# make test-page     set up, then the page in a real browser; make setup-page, node and Chromium
# make test-cluster  set up, then the workflow on a real Slurm (as root: it installs one)
# make test-faults   set up, then break things at random: SECONDS_OF_FAULTS (300), SEED (0)
# make mutants       do the tests notice a wrong program? SAMPLE (all) mutants, by SEED (0)
# make published     the published reports again from their tables, without training
# make docs-site     the documents as a site: results/site/index.html
# make wheel         dist/gradscape-….whl
# make docs          config/README.md's tables and config/schema.json again from the code
# make dag           the rules of CONFIG (config/demo.yaml), or with GRAPH=dag its jobs, in a picture
# make rulegraph     the picture of the rules in docs/architecture.md
# make lock          requirements.lock again, with the newest versions
# make clean         remove .venv, Snakemake's memory and the demo's results

SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
CORES ?= $(shell nproc 2> /dev/null || getconf _NPROCESSORS_ONLN)
CONFIG ?= config/demo.yaml
GRAPH ?= rulegraph

.PHONY: help demo setup setup-page tex test lint test-published test-networks test-page \
  test-cluster test-faults mutants published docs docs-site wheel dag rulegraph poppler \
  graphviz lock clean

help:
	@sed -n 's/^# make/make/p' Makefile

demo: setup tex
	$(BIN)/snakemake all --cores $(CORES) --configfile config/demo.yaml
	@echo "The report is results/demo/report.pdf; to explore, open results/demo/report.html"

test: lint tex poppler
	$(BIN)/python -m pytest -m "not published and not networks and not page" --numprocesses 3 \
	  --dist worksteal

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

test-published: setup tex poppler
	$(BIN)/python -m pytest -m published

test-networks: setup
	$(BIN)/python -m pytest -m networks --numprocesses 2 --dist worksteal --durations 5

test-page: setup setup-page
	$(BIN)/python -m pytest tests/test_page.py tests/test_scripts.py

test-cluster: setup tex
	$(BIN)/python -m pytest tests/cluster --durations 0

test-faults: setup tex
	$(BIN)/python -W ignore tests/faults.py --seconds $(or $(SECONDS_OF_FAULTS),300) \
	  --seed $(or $(SEED),0)

mutants: setup
	$(BIN)/python tests/mutants.py --seed $(or $(SEED),0) $(if $(SAMPLE),--sample $(SAMPLE))

published: setup tex
	for folder in results/published/*/; do \
	  $(BIN)/gradscape report --config $$folder/config.json --results $$folder || exit; \
	  for pdf in $$folder/*.pdf; do cp $$folder/report/$$(basename $$pdf .pdf).tex $$folder; done; \
	done
	cp results/published/cpu/figures/degradation/surface.svg docs/  # the README's

docs: setup
	$(BIN)/python docs/generate.py

# The extra `docs`, without gradscape itself: its source is read, not imported.
DOCS = $(shell $(PYTHON) -c "import tomllib; all = tomllib.load(open('pyproject.toml', 'rb')); \
  print(*all['project']['optional-dependencies']['docs'])")

# Each document where it lies, so that its links hold; built in an environment of its own.
docs-site: pyproject.toml
	rm -rf results/site .docs && mkdir -p .docs/pages results
	git ls-files -z '*.md' docs config profiles report/sections Dockerfile CITATION.cff \
	  Makefile 'results/published/*.pdf' | xargs -0 tar -c | tar -x -C .docs/pages
	$(PYTHON) -m venv .docs/venv
	.docs/venv/bin/python -m pip install --quiet --disable-pip-version-check $(DOCS)
	NO_MKDOCS_2_WARNING=1 .docs/venv/bin/mkdocs build --strict --quiet --site-dir $(CURDIR)/results/site
	@echo "The site is results/site/index.html; to search it, python3 -m http.server -d results/site"

wheel: setup
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

dag: setup graphviz
	mkdir -p results
	$(BIN)/snakemake all --$(GRAPH) --configfile $(CONFIG) | dot -Tsvg > results/dag.svg
	@echo "The picture is results/dag.svg"

# What the tests look at PDFs with.
poppler:
	@command -v pdftoppm > /dev/null || apt-get install -y -q --no-install-recommends poppler-utils

graphviz:
	@command -v dot > /dev/null || apt-get install -y -q --no-install-recommends graphviz

rulegraph: setup graphviz
	$(BIN)/snakemake all --rulegraph --configfile config/demo.yaml \
	  | dot -Tsvg -Grankdir=LR > docs/rulegraph.svg

setup: .venv/installed

# With uv where there is one, with pip elsewhere; the same locked versions either way.
.venv/installed: requirements.lock pyproject.toml envs/setup.sh
	PYTHON=$(PYTHON) envs/setup.sh

tex:
	@envs/tex.sh

# What the page's scripts are tested with, on Debian.
setup-page:
	@command -v node > /dev/null && command -v chromium > /dev/null \
	  || apt-get install -y -q --no-install-recommends nodejs chromium

# All versions and hashes again, for every platform, naming no package host.
lock:
	uv pip compile pyproject.toml --extra dev --universal --generate-hashes --no-header \
	  --upgrade --python-version 3.11 --output-file requirements.lock

clean:
	rm -rf .venv .snakemake results/demo
